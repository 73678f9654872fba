"""Warehouses of Delta tables: pinned once for an attempt, whatever comes meanwhile, and told apart afterwards."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from deltalake import DeltaTable, Field
from deltalake.schema import PrimitiveType
from tests.support.agents import Site, make_repo
from tests.support.warehouses import add_commit, make_warehouse, write_state

from carrel.agent import databases, settings
from carrel.agent.errors import DatabaseUnavailable
from carrel.agent.freshness import changed_since
from carrel.agent.settings import AgentSettings
from carrel.agent.storage import Storage
from carrel.executors.base import Mount
from carrel.messages.tasks import JobDefinition, StudyCommit
from carrel.outputs import manifest
from carrel.warehouse import versions

Load = Callable[[str], AgentSettings]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    def build(url: str) -> AgentSettings:
        env = {"BACKEND": "test", "CONTROLLER_TASK_API_ENDPOINT": "http://localhost:1", "DEFAULT_DATABASE_URL": url}
        for key, value in env.items():
            monkeypatch.setenv(key, value)
        return settings.load()

    return build


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    return make_warehouse(tmp_path / "warehouse")


def test_a_damaged_state_is_no_reason_to_guess(warehouse: Path, load: Load) -> None:
    for text in ("", "{}", "[]"):
        (warehouse / "_runs/state.json").write_text(text)
        with pytest.raises(DatabaseUnavailable):
            access(warehouse, load)


def moved_data(root: Path, before: str, after: str) -> dict[str, list[str | None]]:
    return databases.changes(f"delta://{root}", before, after)


def test_versions_of_the_same_rows_are_no_change(warehouse: Path) -> None:
    table = DeltaTable(str(warehouse / "tables/Motion"))
    assert table.optimize.compact()["numFilesRemoved"] == 2
    assert versions.version_of(warehouse) == "Motion=2,Weather=0"
    assert moved_data(warehouse, "Motion=1,Weather=0", "Motion=2,Weather=0") == {}
    assert moved_data(warehouse / "tables", "Motion=1", "Motion=2") == {}
    assert moved_data(warehouse / "tables/Motion", "delta:1", "delta:2") == {}
    assert moved_data(warehouse, "Motion=0", "Motion=2") == {"Motion": ["0", "2"]}


def test_changed_columns_and_what_cannot_be_told_count_as_changes(warehouse: Path) -> None:
    table = DeltaTable(str(warehouse / "tables/Motion"))
    table.alter.add_columns([Field("y", PrimitiveType("integer"))])
    table.optimize.compact()
    (warehouse / "tables/Weather/_delta_log" / f"{0:020}.json").unlink()
    found = moved_data(warehouse, "Motion=1,Weather=0", "Motion=3,Weather=1")
    assert found == {"Motion": ["1", "3"], "Weather": ["0", "1"]}
    assert moved_data(warehouse, "Motion=2", "Motion=3") == {}
    assert moved_data(warehouse, "Motion=3,Gone=1", "Motion=2") == {"Motion": ["3", "2"], "Gone": ["1", None]}
    assert set(moved_data(warehouse, "2024-01-01T00:00:00+00:00/7", "Motion=1")) == {"Motion", "database"}


def test_the_version_now_is_what_a_job_would_get(warehouse: Path, load: Load, tmp_path: Path) -> None:
    assert databases.read_version(f"delta://{warehouse}") == access(warehouse, load).version
    path = tmp_path / "a.duckdb"
    path.write_text("x")
    url = f"duckdb://{path}"
    assert databases.read_version(url) == databases.grant_access_to(url, load(url), tmp_path / "pins").version
    for url in ("postgresql://host/db", f"delta://{tmp_path}/none"):
        with pytest.raises(DatabaseUnavailable):
            databases.read_version(url)


def access(root: Path, load: Load, version: str | None = None) -> databases.Access:
    job = JobDefinition(
        id="j", rap_id="r", repo_url="u", commit="c", workspace="w", action="a", created_at=0,
        study=StudyCommit(git_repo_url="u", commit="c", branch="b"), image="ghcr.io/x/sqlrunner:v1", args=["q.sql"],
        allow_database_access=True, database_name="default",
    )  # fmt: skip
    return databases.grant_access(job, load(f"delta://{root}"), root.parent / "pins", version)


def test_a_job_sees_the_tables_read_only_and_nothing_beside_them(warehouse: Path, load: Load) -> None:
    found = access(warehouse, load)
    assert found.mounts == (Mount(warehouse / "tables", "/database/warehouse/tables"),)
    assert not found.mounts[0].writable
    assert found.network.mode == "none"
    url = urlsplit(found.env["DATABASE_URL"])
    assert (url.scheme, url.path) == ("delta", "/database/warehouse")
    assert parse_qs(url.query) == {"versions": [found.version]} == {"versions": ["Motion=1,Weather=0"]}


def test_what_was_pinned_when_preparing_is_what_the_process_gets(warehouse: Path, load: Load) -> None:
    """Also after a restart of the agent in between: the version is read from the attempt's folder, not found anew."""
    first = access(warehouse, load)
    add_commit(warehouse, "Motion", 3)
    write_state(warehouse, 3, "done")
    assert access(warehouse, load, first.version) == first
    assert access(warehouse, load).version == "Motion=2,Weather=0"


def test_a_file_replaced_before_the_process_starts(tmp_path: Path, load: Load) -> None:
    path = tmp_path / "north.duckdb"
    path.write_text("old")
    job_pins = tmp_path / "pins"
    url = f"duckdb://{path}"
    first = databases.grant_access_to(url, load(url), job_pins)
    (tmp_path / "new").write_text("newer")
    (tmp_path / "new").replace(path)
    second = databases.grant_access_to(url, load(url), job_pins, first.version)
    assert second == first
    assert second.mounts[0].source.read_text() == "old"


SQL = "SELECT sum(x)::bigint AS total FROM motion"


@pytest.fixture
def query_site(make_site: Callable[..., Site], warehouse: Path, tmp_path: Path) -> Site:
    repo = tmp_path / "query"
    commit = make_repo(repo, {"project.yaml": "version: 5\nactions: {}\n", "q.sql": SQL})
    site = make_site(EXECUTOR="bubblewrap", DEFAULT_DATABASE_URL=f"delta://{warehouse}")
    site.repo, site.commit = repo, commit
    return site


def ask(site: Site, job_id: str, action: str = "extract") -> dict[str, Any]:
    """Run the query as a job; its `metadata.json`."""
    task = site.task(
        job_id, action=action, image="ghcr.io/opensafely-core/sqlrunner:v1",
        args=["q.sql", "--output", f"output/{action}.csv"],
        allow_database_access=True, database_name="default",
    )  # fmt: skip
    if site.process is None:
        site.start()
    site.server.add(task)
    site.server.final(task["id"])
    record: dict[str, Any] = json.loads((site.high / f"logs/2023-11/os-job-{job_id}/metadata.json").read_text())
    return record


@pytest.mark.bubblewrap
def test_a_later_run_says_that_the_data_changed(query_site: Site, warehouse: Path) -> None:
    site = query_site
    first = ask(site, "job1")
    assert (first["exit_code"], first["database_version"]) == ("0", "Motion=1,Weather=0"), site.log()
    assert first["database_changes"] == {}
    assert (site.high / "workspaces/wspace/output/extract.csv").read_text() == "total\n2\n"
    assert ask(site, "job2")["database_changes"] == {}
    add_commit(warehouse, "Motion", 3, x=[40])
    add_commit(warehouse, "Tapping", 3)
    write_state(warehouse, 3, "done")
    changed = ask(site, "job3")
    assert changed["database_changes"] == {"Motion": ["1", "2"], "Tapping": [None, "0"]}
    assert (site.high / "workspaces/wspace/output/extract.csv").read_text() == "total\n42\n"
    log = (site.medium / "workspaces/wspace/metadata/extract.log").read_text()
    assert "database_version: Motion=2,Tapping=0,Weather=0" in log
    assert log.endswith("Data changed since this action last ran:\n  Motion: 1 -> 2\n  Tapping: not there -> 0\n")
    assert ask(site, "job4", "other")["database_changes"] == {}
    entries = manifest.read(site.medium / "workspaces/wspace/metadata/manifest.json", "wspace")["outputs"]
    assert {entry["database_version"] for entry in entries.values()} == {changed["database_version"]}
    assert str(warehouse) not in json.dumps(site.server.final("job3-001"))
    urls = {"default": f"delta://{warehouse}"}
    assert set(changed_since(storage_of(site), urls, "wspace")) == {"extract", "other"}
    assert told_by_hand(site) == "wspace extract: made from the data of now\nwspace other: made from the data of now\n"
    add_commit(warehouse, "Motion", 4)
    write_state(warehouse, 4, "done")
    assert json.loads(told_by_hand(site, "--json"))["wspace"]["extract"]["tables"] == {"Motion": ["2", "3"]}
    assert "no database 'default'" in changed_since(storage_of(site), {}, "wspace")["extract"].unknown


def storage_of(site: Site) -> Storage:
    return Storage(site.high, site.medium, site.high / "archives", site.high / "volumes")


def told_by_hand(site: Site, *words: str) -> str:
    """The command of the secure side, while the agent runs."""
    argv = [sys.executable, "-m", "carrel.agent.commands", "data_changes", "wspace", *words]
    return subprocess.run(argv, env=site.environment(), check=True, capture_output=True, text=True).stdout

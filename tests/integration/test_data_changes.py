"""After another run of ingest people are told which outputs are of older data, and nothing runs again by itself."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from tests.support.ingest import Folder, ingest
from tests.support.local import CARREL
from tests.support.site import LiveSite, free_port, live_site

from carrel.ingest.operations.compaction import compact
from carrel.site.layout import Site, SiteBackend
from carrel.site.submission import data_lines
from carrel.synthetic import Knobs, write

pytestmark = pytest.mark.bubblewrap

PROJECT = """
version: '5'
actions:
  extract:
    run: sqlrunner:v1 query.sql --output output/rows.csv --dummy-data-file dummy.csv
    outputs: {highly_sensitive: {rows: output/rows.csv}}
  count:
    run: python:v2 python count.py
    needs: [extract]
    outputs: {moderately_sensitive: {n: output/n.json}}
  alone:
    run: python:v2 python -c "open('output/a.json', 'w').write('1')"
    outputs: {moderately_sensitive: {a: output/a.json}}
"""
STUDY = {
    "project.yaml": PROJECT,
    "query.sql": "SELECT recordid FROM ArchiveMetadata_v1",
    "dummy.csv": "recordid\nnobody\n",
    "count.py": "open('output/n.json', 'w').write(str(len(open('output/rows.csv').readlines()) - 1))\n",
}
TABLE = "ArchiveMetadata_v1"


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("archives")
    write(Knobs(seed=4, records=9, participants=3, shapes={"task": 1}, hz=2, seconds=1), folder)
    return folder / "archives", sorted(path.stem for path in (folder / "archives").glob("*.zip"))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, archives: tuple[Path, list[str]], toolchains: Path):
    """`north` has a warehouse of two runs, `south` no data."""
    root = tmp_path_factory.mktemp("data-changes")
    folder, names = archives
    for part in (names[:3], names[3:6]):
        ingest(root / "warehouse", Folder(folder, tuple(part)))
    backends = (SiteBackend("north", f"delta://{root / 'warehouse'}"), SiteBackend("south"))
    site = Site(
        root / "site",
        backends,
        port=free_port(),
        executor="bubblewrap",
        toolchains=toolchains,
        extra_env={"STATS_POLL_INTERVAL": "2"},
    )
    with live_site(site, root / "studies") as up:
        site.describe()
        yield up


def carrel(live: LiveSite, *words: str) -> str:
    """What the command prints in the study's folder."""
    env = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ} | {"COLUMNS": "200"}
    site = ("--site", str(live.site.root))
    done = subprocess.run(
        [CARREL, *words, *site], cwd=live.scratch / "study", env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def told(live: LiveSite, command: str) -> dict[tuple[str, str], dict]:
    """(backend, action) -> what `--json` says of its data, where it says anything."""
    rows = json.loads(carrel(live, command, "--json"))
    silent = {"tables": {}, "through": [], "unknown": ""}
    return {(row["backend"], row["action"]): row["data"] for row in rows if row["data"] != silent}


def pinned(live: LiveSite, workspace: str) -> int:
    version = live.manifest(workspace, "north")["output/rows.csv"]["database_version"]
    return int(dict(pair.split("=") for pair in version.split(","))[TABLE])


def submit(live: LiveSite, *actions: str) -> None:
    for backend in ("north", "south"):
        rap = live.submit(live.request(STUDY, *actions, name="study"), backend)
        assert {job["status"] for job in live.wait(rap).values()} == {"succeeded"}, live.permanent_logs(backend)


def test_people_are_told_and_nothing_else_happens(live: LiveSite, archives: tuple[Path, list[str]]):
    folder, names = archives
    warehouse = live.site.root.parent / "warehouse"
    submit(live, "run_all")
    first = pinned(live, "study")
    assert told(live, "status") == told(live, "plan") == {}
    assert "Nothing runs again" not in carrel(live, "status")

    ingest(warehouse, Folder(folder, tuple(names[6:])))
    for command in ("status", "plan"):
        found = told(live, command)
        assert set(found) == {("north", "extract"), ("north", "count")}
        assert found["north", "extract"]["tables"][TABLE] == [str(first), str(first + 1)]
        assert found["north", "count"] == {"tables": {}, "through": ["extract"], "unknown": ""}
        assert f"{TABLE} {first} -> {first + 1}" in carrel(live, command)
        assert "--force" in carrel(live, command).splitlines()[-1]

    # It is told, and changes nothing: all that succeeded is reused as before.
    rows = json.loads(carrel(live, "plan", "--json", "--backend", "north"))
    assert {row["does"] for row in rows} == {"reuse"}
    before = live.manifest("study", "north")
    answer = live.requests.create(live.request(STUDY, name="study"), "north")
    assert answer.count == 0
    assert live.manifest("study", "north") == before
    (line,) = data_lines(live.site, "study", ["north", "south"])
    assert line.startswith("north extract: data changed since: ")
    assert TABLE in line

    submit(live, "extract")
    assert told(live, "status") == {}
    assert pinned(live, "study") == first + 1
    assert list(data_lines(live.site, "study", ["north"])) == []
    log = live.log("study", "extract", "north")
    assert f"{TABLE}: {first} -> {first + 1}" in log


def test_a_new_version_of_the_same_rows_is_no_change(live: LiveSite):
    submit(live, "extract")
    before = pinned(live, "study")
    compact(str(live.site.root.parent / "warehouse"))
    assert told(live, "status") == {}
    submit(live, "extract")
    assert pinned(live, "study") == before + 1
    assert "Data changed since" not in live.log("study", "extract", "north")


def test_data_that_is_gone_is_said_to_be_unknown(live: LiveSite):
    submit(live, "extract")
    warehouse = live.site.root.parent / "warehouse"
    warehouse.rename(warehouse.with_name("moved"))
    try:
        (found,) = told(live, "status").values()
        assert "cannot be read" in found["unknown"]
        assert "whether its data changed cannot be told" in carrel(live, "status")
    finally:
        warehouse.with_name("moved").rename(warehouse)


def test_a_folder_without_a_site_is_refused(live: LiveSite, tmp_path: Path):
    env = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    for command in ("status", "plan"):
        words = [CARREL, command, "--site", str(tmp_path)]
        done = subprocess.run(words, cwd=live.scratch / "study", env=env, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (
            1,
            f"no site in {tmp_path}: start one with `carrel up --dir {tmp_path}`\n",
        )

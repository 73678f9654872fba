"""Jobs on a warehouse that `carrel ingest` makes, in each runtime: what they can reach, and which version they read."""

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from tests.support.agents import Site, make_repo
from tests.support.docker import docker, docker_engine, docker_image, remove  # noqa: F401  (fixtures)
from tests.support.ingest import MAPPING, Folder, ingest
from tests.support.sqlrunner_image import build_sqlrunner

from carrel.ingest.operations.withdrawal import withdraw
from carrel.jobs.outcomes import DATABASE_EXIT_CODES
from carrel.outputs import manifest
from carrel.synthetic import Knobs, write
from carrel.warehouse import versions

EXECUTORS = [pytest.param("bubblewrap", marks=pytest.mark.bubblewrap), pytest.param("docker", marks=pytest.mark.docker)]
PROBE = "carrel-test/sqlrunner:probe"
TABLE = "ArchiveMetadata_v1"
LOOK = """
import errno, json, os, socket
def tried(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    return "done"
inside = "/database/warehouse/tables"
table = f"{inside}/ArchiveMetadata_v1"
rows = sorted(name for name in os.listdir(table) if name.endswith(".parquet"))
part = f"{table}/{rows[0]}"
seen = {
    "shown": sorted(os.listdir("/database")) + sorted(os.listdir("/database/warehouse")),
    "tables": sorted(os.listdir(inside)),
    "readable": len(open(part, "rb").read()) > 0,
    "writing": [
        tried(lambda: open(part, "r+b")),
        tried(lambda: open(f"{table}/new", "w")),
        tried(lambda: open(f"{table}/_delta_log/00000000000000000099.json", "w")),
        tried(lambda: os.remove(part)),
        tried(lambda: os.rename(part, f"{table}/x")),
        tried(lambda: os.chmod(part, 0o777)),
        tried(lambda: open("/database/warehouse/new", "w")),
    ],
    "elsewhere": [os.path.exists(path) for path in PATHS],
    "network": [
        tried(lambda: socket.create_connection(("127.0.0.1", PORT), 2)),
        tried(lambda: socket.create_connection(("192.0.2.1", 80), 2)),
    ],
    "interfaces": sorted(name for _, name in socket.if_nameindex()),
    "urls": sorted(key for key, value in os.environ.items() if "://" in value),
}
os.makedirs("output", exist_ok=True)
json.dump(seen, open("output/seen.json", "w"))
"""


@dataclass
class Place:
    """A backend whose database is a warehouse of two runs, and archives for a third."""

    site: Site
    warehouse: Path
    archives: Path
    late: tuple[str, ...]
    token: str = field(default_factory=lambda: secrets.token_hex(4))
    """In the names of its jobs: containers are the whole engine's, and outlive an agent that is killed."""

    def task(self, job_id: str, query: str = "q.sql", attempt: int = 1) -> dict[str, Any]:
        return self._task(job_id, "sqlrunner:v1", [query, "--output", "output/rows.csv"], "output/rows.csv", attempt)

    def probe(self, job_id: str) -> dict[str, Any]:
        return self._task(job_id, "sqlrunner:probe", ["python3", "look.py"], "output/seen.json", 1)

    def _task(self, job_id: str, image: str, args: list[str], output: str, attempt: int) -> dict[str, Any]:
        return self.site.task(
            f"{job_id}-{self.token}", attempt, action="extract", image=f"carrel-test/{image}", args=args,
            output_spec={output: "highly_sensitive"}, allow_database_access=True, database_name="default",
        )  # fmt: skip

    def resumed(self, task: dict[str, Any]) -> dict[str, Any]:
        """The record of a task that was pinned, when the agent runs again and the job has ended well."""
        self.site.start()
        self.site.server.final(task["id"])
        record = self.record(task)
        assert record["exit_code"] == "0", self.log(task)
        return record

    def ran(self, task: dict[str, Any]) -> dict[str, Any]:
        """Its `metadata.json`, once it has ended."""
        self.site.server.add(task)
        self.site.server.final(task["id"])
        return self.record(task)

    def record(self, task: dict[str, Any]) -> dict[str, Any]:
        folder = self.site.high / f"logs/2023-11/os-job-{task['definition']['id']}"
        found: dict[str, Any] = json.loads((folder / "metadata.json").read_text())
        return found

    def log(self, task: dict[str, Any]) -> str:
        return (self.site.high / f"logs/2023-11/os-job-{task['definition']['id']}/logs.txt").read_text()

    def pin(self, task: dict[str, Any]) -> None:
        """The agent pins the version, and is killed before it starts the job: the next agent does."""
        agent = self.site.start(CARREL_FAULT="attempt.prepared")
        self.site.server.add(task)
        assert agent.wait(60) == -9

    def rows(self) -> set[str]:
        lines = (self.site.high / "workspaces/wspace/output/rows.csv").read_text().splitlines()
        return set(lines[1:])

    def ingest_late(self) -> None:
        assert ingest(self.warehouse, Folder(self.archives, self.late)).run_id

    def records(self, version: int | None = None) -> set[str]:
        table = DeltaTable(str(self.warehouse / "tables" / TABLE), version=version)
        return set(table.to_pyarrow_table(columns=["recordid"])["recordid"].to_pylist())


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archives")
    write(Knobs(seed=6, records=9, participants=3, shapes={"task": 1}, hz=2, seconds=1, odd_ids=0), folder)
    return folder / "archives"


@pytest.fixture(params=EXECUTORS)
def place(
    request: pytest.FixtureRequest, make_site: Callable[..., Site], tmp_path: Path, archives: Path
) -> Iterator[Place]:
    names = sorted(path.stem for path in archives.glob("*.zip"))
    data = tmp_path / "data"
    for part in (names[:3], names[3:6]):
        ingest(data / "warehouse", Folder(archives, tuple(part)))
    (data / "secret.txt").write_text("secret")
    env = {"DOCKER_REGISTRY": "carrel-test", "DEFAULT_DATABASE_URL": f"delta://{data / 'warehouse'}"}
    if request.param == "docker":
        build_sqlrunner(request.getfixturevalue("docker_image"))
        docker("tag", request.getfixturevalue("docker_image"), PROBE)
    else:
        env["TOOLCHAINS_DIR"] = str(tmp_path / "toolchains")
        (tmp_path / "toolchains/sqlrunner-probe").mkdir(parents=True)
        (tmp_path / "toolchains/sqlrunner-probe/toolchain.json").write_text("{}")
    site = make_site(EXECUTOR=request.param, **env)
    site.repo = tmp_path / "query"
    site.commit = make_repo(site.repo, _files(data, site))
    made = Place(site, data / "warehouse", archives, tuple(names[6:]))
    yield made
    site.kill()
    if request.param == "docker":
        remove(docker("ps", "--all", "--quiet", "--filter", f"name={made.token}").split())


def _files(data: Path, site: Site) -> dict[str, str]:
    """The study: a query, one that writes, and the probe with what it must not find."""
    beside = ["_ledger", "_quarantine", "_runs", "catalog"]
    hidden = [*(f"/database/warehouse/{name}" for name in beside), str(data), str(data / "secret.txt"), str(site.root)]
    port = site.server.url.rpartition(":")[2].partition("/")[0]
    return {
        "project.yaml": "version: 5\nactions: {}\n",
        "q.sql": f"SELECT recordid FROM {TABLE}",
        "bridge.sql": "SELECT recordid FROM dataset_archivemetadata_v1 WHERE year = '2023' OR year <> '2023'",
        "write.sql": f"DELETE FROM {TABLE}",
        "look.py": f"PATHS = {hidden!r}\nPORT = {port}\n{LOOK}",
    }


def folder_as_it_is(root: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in root.rglob("*")}


def test_a_job_reaches_the_tables_and_nothing_else_and_changes_nothing(place: Place) -> None:
    place.site.start()
    before = folder_as_it_is(place.warehouse)
    record = place.ran(place.probe("look"))
    assert record["exit_code"] == "0", place.log(place.probe("look"))
    seen = json.loads((place.site.high / "workspaces/wspace/output/seen.json").read_text())
    assert seen["shown"] == ["warehouse", "tables"]
    assert set(seen["tables"]) == {path.name for path in (place.warehouse / "tables").iterdir()}
    assert seen["readable"]
    assert set(seen["writing"]) <= {"EROFS", "EACCES", "EPERM"}, seen["writing"]
    assert not any(seen["elsewhere"]), seen["elsewhere"]
    assert set(seen["network"]) <= {"ENETUNREACH", "ECONNREFUSED"}
    assert seen["network"][1] == "ENETUNREACH"
    assert seen["interfaces"] == ["lo"]
    assert seen["urls"] == ["DATABASE_URL"]

    refused = place.task("write", "write.sql")
    assert place.ran(refused)["exit_code"] == "12", place.log(refused)
    assert folder_as_it_is(place.warehouse) == before


def test_a_commit_between_pin_and_read_is_not_seen(place: Place) -> None:
    """The agent is killed when it has pinned and not yet started the job: the one moment that is the same each time."""
    old, pin = place.records(), versions.version_of(place.warehouse)
    task = place.task("pinned")
    place.pin(task)
    place.ingest_late()
    assert versions.version_of(place.warehouse) != pin
    assert place.records() > old
    record = place.resumed(task)
    assert place.rows() == old
    assert record["database_version"] == pin
    (entry,) = manifest.read(place.site.medium / "workspaces/wspace/metadata/manifest.json", "wspace")[
        "outputs"
    ].values()
    assert entry["database_version"] == pin

    again = place.ran(place.task("again"))
    assert place.rows() == place.records()
    assert again["database_version"] == versions.version_of(place.warehouse)
    assert TABLE in again["database_changes"]


def test_a_job_reads_by_the_contracts_name_and_its_pin_holds_for_that_too(place: Place) -> None:
    """`naming: bridge` is given up, and more rows come, between pin and read."""
    nothing = Folder(place.archives, ())
    unnamed = versions.version_of(place.warehouse)
    assert ingest(place.warehouse, nothing, mapping=MAPPING + "defaults: {naming: bridge}\n").run_id
    old, pin = place.records(), versions.version_of(place.warehouse)
    assert TABLE in versions.data_changes(place.warehouse, versions.changes(unnamed, pin))
    task = place.task("named", "bridge.sql")
    place.pin(task)
    place.ingest_late()
    assert place.records() > old
    record = place.resumed(task)
    assert place.rows() == old
    assert record["database_version"] == pin

    assert place.ran(place.task("native"))["exit_code"] == "0"
    assert place.rows() == place.records()
    again = place.task("again", "bridge.sql")
    assert place.ran(again)["exit_code"] == "10", place.log(again)


def test_a_version_that_a_withdrawal_removed_is_said_to_be_gone_and_a_new_attempt_works(place: Place) -> None:
    task = place.task("withdrawn")
    place.pin(task)
    record = min(place.records())
    proof = withdraw(str(place.warehouse), record_ids=[record])
    assert (proof.holding, proof.rows > 0) == ((), True)
    place.site.start()
    report = place.site.server.final(task["id"])
    found = place.record(task)
    assert (found["exit_code"], found["published"]) == ("3", False)
    assert f"The version of table {TABLE} that this job was to read is no longer kept" in place.log(task)
    assert "Run the action again: it then reads the tables as they are now." in place.log(task)
    # What leaves names no table and no path; the controller's words for the code say what to do.
    assert "Running the job again later may help" in DATABASE_EXIT_CODES[3]
    assert report["results"]["exit_code"] == "3"
    assert TABLE not in json.dumps(report)
    assert str(place.warehouse) not in json.dumps(report)

    assert place.ran(place.task("again"))["exit_code"] == "0"
    assert place.rows() == place.records()
    assert record not in place.rows()

"""A backend with a real DuckDB database beside one without: who gets it, and what the SQL of a study can do with it."""

import hashlib
from pathlib import Path

import duckdb
import pytest
from tests.support.site import free_port, live_site

from carrel.site.layout import Site, SiteBackend

CANARY = "zebra-7781"
EXECUTORS = [pytest.param("bubblewrap", marks=pytest.mark.bubblewrap), pytest.param("docker", marks=pytest.mark.docker)]


def make_database(path: Path, table: str, word: str) -> Path:
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE {table} AS SELECT i AS patient_id, '{word}' AS word FROM range(1, 4) r(i)")
    return path


@pytest.fixture(scope="module", params=EXECUTORS)
def data(request, tmp_path_factory, toolchains):
    """`north` has a database, `south` none. Beside that of north lies another, which is no business of its jobs."""
    if request.param == "docker":
        from tests.support.sqlrunner_image import build_sqlrunner

        build_sqlrunner(request.getfixturevalue("docker_image"))
    root = tmp_path_factory.mktemp(f"data-{request.param}")
    ours = make_database(root / "north.duckdb", "people", "ours")
    make_database(root / "other.duckdb", "secrets", CANARY)
    (root / "secret.csv").write_text(f"a,b\n{CANARY},2\n")
    extra = {"DOCKER_REGISTRY": "carrel-test", "STATS_POLL_INTERVAL": "2"}
    backends = (SiteBackend("north", f"duckdb:///{ours}"), SiteBackend("south"))
    site = Site(
        root / "site",
        backends,
        port=free_port(),
        executor=request.param,
        toolchains=toolchains,
        extra_env=extra,
    )
    with live_site(site, root / "studies") as live:
        yield live, root


LOOK = """
import json, os
seen = {'environment': sorted(os.environ), 'root': sorted(os.listdir('/'))}
open('output/look.json', 'w').write(json.dumps(seen))
"""
YAML = """
version: '5'
actions:
  extract:
    run: sqlrunner:v1 query.sql --output output/rows.csv --dummy-data-file dummy.csv
    outputs: {highly_sensitive: {rows: output/rows.csv}}
  look:
    run: python:v2 python look.py
    needs: [extract]
    outputs: {moderately_sensitive: {seen: output/look.json}}
"""
STUDY = {
    "project.yaml": YAML,
    "query.sql": "SELECT patient_id, word FROM people ORDER BY patient_id",
    "dummy.csv": "patient_id,word\n7,invented\n",
    "look.py": LOOK,
}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_only_the_database_action_gets_the_database(data):
    live, root = data
    before = digest(root / "north.duckdb")
    asked, jobs = live.run(STUDY, backend="north")
    assert {job["status"] for job in jobs.values()} == {"succeeded"}, live.permanent_logs("north")
    rows = live.high(asked.workspace, "north") / "output/rows.csv"
    assert rows.read_text() == "patient_id,word\n1,ours\n2,ours\n3,ours\n"
    seen = (live.level4(asked.workspace, "north") / "output/look.json").read_text()
    assert "DATABASE" not in seen
    assert '"database"' not in seen
    assert digest(root / "north.duckdb") == before
    assert "database_version" in live.log(asked.workspace, "extract", "north")
    assert "database_version" not in live.log(asked.workspace, "look", "north")


def test_without_a_database_the_action_gets_dummy_data(data):
    live, _ = data
    asked, jobs = live.run(STUDY, backend="south")
    assert {job["status"] for job in jobs.values()} == {"succeeded"}, live.permanent_logs("south")
    rows = live.high(asked.workspace, "south") / "output/rows.csv"
    assert rows.read_text() == STUDY["dummy.csv"]
    assert "DATABASE" not in (live.level4(asked.workspace, "south") / "output/look.json").read_text()


def forbidden(root: Path) -> dict[str, str]:
    """SQL that tries to reach what is not the backend's database, or to change what is."""
    return {
        "attach": f"ATTACH '{root}/other.duckdb' AS other",
        "qualified": f"SELECT * FROM '{root}/other.duckdb'.secrets",
        "passwd": "SELECT * FROM read_csv('/etc/passwd', header = false)",
        "text": f"SELECT * FROM read_text('{root}/secret.csv')",
        "plain": f"SELECT * FROM '{root}/secret.csv'",
        "environment": "SELECT content FROM read_text('/proc/self/environ')",
        "glob": "SELECT * FROM glob('/*')",
        "copy": "COPY people TO '/workspace/output/leak.csv'",
        "write": "DELETE FROM people",
        "make": "CREATE TABLE made AS SELECT 1 AS a",
        "two": "SELECT 1 AS a; DROP TABLE people",
        "web": "SELECT * FROM 'https://localhost/x.csv'",
        "settings": "SET enable_external_access = true",
    }


def actions(commands: dict[str, str]) -> str:
    """A project of one database action for each command line."""
    lines = ["version: '5'", "actions:"]
    for name, line in commands.items():
        lines += [f"  {name}:", f"    run: {line}", f"    outputs: {{highly_sensitive: {{o: output/{name}.csv}}}}"]
    return "\n".join(lines) + "\n"


def test_sql_reaches_nothing_but_its_own_database_and_changes_nothing(data):
    live, root = data
    before = digest(root / "north.duckdb"), digest(root / "other.duckdb")
    queries = forbidden(root)
    runs = {name: f"sqlrunner:v1 {name}.sql --output output/{name}.csv" for name in queries}
    runs["allowed"] = "sqlrunner:v1 allowed.sql --output output/allowed.csv"
    texts = {**queries, "allowed": "SELECT word FROM people LIMIT 1"}
    files = {"project.yaml": actions(runs), **{f"{name}.sql": text for name, text in texts.items()}}
    asked, jobs = live.run(files, backend="north")
    codes = {name: job["status_code"] for name, job in jobs.items()}
    assert codes.pop("allowed") == "succeeded"
    assert codes == dict.fromkeys(queries, "nonzero_exit")
    for name in queries:
        log = live.log(asked.workspace, name, "north")
        assert "exit_code: 12" in log or "exit_code: 10" in log, (name, log)
        assert CANARY not in log
        assert "root:" not in log, name
        assert CANARY not in jobs[name]["status_message"]
    assert [path.name for path in live.high(asked.workspace, "north").glob("output/*")] == ["allowed.csv"]
    assert (digest(root / "north.duckdb"), digest(root / "other.duckdb")) == before


def test_options_of_the_command_reach_no_further_than_its_sql(data):
    live, root = data
    before = digest(root / "north.duckdb"), digest(root / "other.duckdb")
    runs = {
        "elsewhere": f"sqlrunner:v1 query.sql --dsn duckdb:///{root}/other.duckdb --output output/elsewhere.csv",
        "beside": "sqlrunner:v1 query.sql --output /database/beside.csv",
        "over": "sqlrunner:v1 query.sql --output output/over.csv --log-file /database/north.duckdb",
        "dummy": f"sqlrunner:v1 query.sql --dsn '' --dummy-data-file {root}/secret.csv --output output/dummy.csv",
        "allowed": "sqlrunner:v1 query.sql --output output/allowed.csv",
    }
    _, jobs = live.run({"project.yaml": actions(runs), "query.sql": "SELECT 1 AS a"}, backend="north")
    codes = {name: job["status_code"] for name, job in jobs.items()}
    assert codes.pop("allowed") == "succeeded"
    del runs["allowed"]
    assert codes == dict.fromkeys(runs, "nonzero_exit"), live.permanent_logs("north")
    assert CANARY not in live.permanent_logs("north")
    assert sorted(path.name for path in root.iterdir()) == [
        *("north.duckdb", "other.duckdb", "secret.csv", "site", "studies")
    ]
    assert (digest(root / "north.duckdb"), digest(root / "other.duckdb")) == before

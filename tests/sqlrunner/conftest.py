"""Databases to query, and sqlrunner as the process that a job starts."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import duckdb
import pytest
from tests.sqlrunner.server import Server, running_server

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`run(sql, "--output", "x.csv", env={...})`: in tmp_path, with no DATABASE_URL but the one given."""

    def start(sql: str | bytes, *args: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        content = sql.encode() if isinstance(sql, str) else sql
        (tmp_path / "query.sql").write_bytes(content)
        clean = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
        return subprocess.run(
            [sys.executable, "-m", "carrel.sqlrunner", "query.sql", *args],
            cwd=tmp_path,
            env={**clean, **(env or {})},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return start


@pytest.fixture(scope="session")
def duckdb_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A DuckDB file with a few awkward rows (`t`) and many (`many`, a million)."""
    path = tmp_path_factory.mktemp("duckdb") / "a base.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(Path(__file__).with_name("awkward.sql").read_text())
        connection.execute(
            "CREATE TABLE many AS SELECT i AS id, md5(i::varchar) AS name, i / 7.0 AS x FROM range(1000000) r(i)"
        )
    return f"duckdb://{path}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server with the same awkward table `t`."""
    with running_server(Path(__file__).with_name("awkward.sql").read_text()) as server:
        yield server

"""A PostgreSQL cluster to throw away: made by initdb as the user postgres, reached only through its own unix socket."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

OWNER = "postgres"


def programs() -> Path | None:
    """Folder of PostgreSQL's server programs; None when they are not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class Cluster:
    """One running cluster. `url(name)` is a CARREL_DATABASE_URL."""

    def __init__(self, folder: Path, bin_folder: Path) -> None:
        self.folder, self.bin = folder, bin_folder

    def url(self, database: str) -> str:
        return f"postgresql://{OWNER}@/{database}?host={quote(str(self.folder), safe='')}"

    def execute(self, sql: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql)

    @cached_property
    def _as_owner(self) -> list[str]:
        return ["runuser", "-u", OWNER, "--"] if os.geteuid() == 0 else []

    def start(self) -> None:
        data = self.folder / "data"
        self._run("initdb", "-D", str(data), "-U", OWNER, "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        quick = "-c fsync=off -c full_page_writes=off -c max_connections=60 -c shared_buffers=32MB"
        options = f"-k {self.folder} -c listen_addresses='' {quick}"
        self._run("pg_ctl", "-D", str(data), "-w", "-t", "60", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def _run(self, program: str, *args: str) -> None:
        command = [*self._as_owner, str(self.bin / program), *args]
        done = subprocess.run(
            command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}")


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Make a cluster, start it, and leave nothing behind. Skips where PostgreSQL is not installed."""
    bin_folder = programs()
    if bin_folder is None:
        pytest.skip("PostgreSQL's server programs are missing")
    folder = Path(tempfile.mkdtemp(prefix="carrel-pg-", dir="/tmp"))  # a socket's path must be short
    if os.geteuid() == 0:
        shutil.chown(folder, OWNER, OWNER)
    cluster = Cluster(folder, bin_folder)
    try:
        cluster.start()
        yield cluster
        cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)

"""The questions in SQL of our own, asked of PostgreSQL: a process of its own, since Django has one database."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.postgres import running_cluster


def test_the_latest_jobs_on_postgresql() -> None:
    with running_cluster() as cluster:
        cluster.execute("CREATE DATABASE carrel")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-n0", str(Path(__file__).with_name("test_latest.py"))],
            env={**os.environ, "CARREL_DATABASE_URL": cluster.url("carrel")},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout[-3000:]

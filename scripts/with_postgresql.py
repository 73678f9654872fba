"""`python scripts/with_postgresql.py COMMAND...`: run it with CARREL_DATABASE_URL naming a throw-away PostgreSQL."""

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.support.postgres import running_cluster


def main(command: list[str]) -> int:
    with running_cluster() as cluster:
        cluster.execute("CREATE DATABASE carrel")
        return subprocess.run(command, env={**os.environ, "CARREL_DATABASE_URL": cluster.url("carrel")}).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

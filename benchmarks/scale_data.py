"""A controller's database after years: 1,000,000 finished jobs, made in SQL, kept between runs in the temp folder."""

import hashlib
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

JOBS = 1_000_000
RAP_JOBS = 10
WORKSPACES = 1_000
BACKEND = "bench"
OLD_RAP = f"{0:016d}"
"""A request that ended long ago; an "empty" database has this one too, so that both have something to answer."""
SUCCEEDED = "Completed successfully"

# `i` counts jobs, `r` requests; times grow with them, in the text that Django writes.
_MADE = "strftime('%Y-%m-%d %H:%M:%S.000000', 1600000000 + {n}, 'unixepoch')"
_METRICS = '{"cpu_mean": 93.1, "cpu_peak": 180.4, "mem_mb_mean": 812.4, "mem_mb_peak": 1200.7, "wall_seconds": 812.2}'
_RAP = {
    "id": "printf('%016d', i)",
    "backend": f"'{BACKEND}'",
    "workspace": f"'workspace-' || (i % {WORKSPACES})",
    "repo_url": "'https://github.com/opensafely/study-' || (i % 500)",
    "branch": "'main'",
    '"commit"': "printf('%040x', i)",
    "database_name": "'default'",
    "requested_actions": "'[\"run_all\"]'",
    "codelists_ok": "1",
    "force_run_dependencies": "0",
    "created_by": "'somebody'",
    "project": "'project'",
    "orgs": "'[\"org\"]'",
    "created_at": _MADE.format(n=f"i * {RAP_JOBS}"),
    "outcome": "'created'",
    "outcome_details": "''",
}
_JOB = {
    "id": "printf('%016d', i)",
    "rap_id": f"printf('%016d', i / {RAP_JOBS})",
    "backend": f"'{BACKEND}'",
    "workspace": f"'workspace-' || (i / {RAP_JOBS} % {WORKSPACES})",
    "action": f"'action' || (i % {RAP_JOBS})",
    "position": f"i % {RAP_JOBS}",
    "repo_url": "'https://github.com/opensafely/study'",
    '"commit"': "printf('%040x', i)",
    "run_command": "'python:v2 python analysis/step.py --input output/dataset.csv.gz --output output/table.csv'",
    "reusable_action": "''",
    "needs": "'[]'",
    "wait_for_job_ids": "'[]'",
    "output_spec": '\'{"output/table.csv": "moderately_sensitive"}\'',
    "requires_db": "0",
    "weight": "1.0",
    "state": "CASE i % 10 WHEN 7 THEN 'failed' ELSE 'succeeded' END",
    "status_code": "CASE i % 10 WHEN 7 THEN 'nonzero_exit' ELSE 'succeeded' END",
    "status_message": f"'{SUCCEEDED}'",
    "status_code_updated_at": _MADE.format(n="i + 900"),
    "created_at": _MADE.format(n="i"),
    "updated_at": _MADE.format(n="i + 900"),
    "started_at": _MADE.format(n="i + 60"),
    "completed_at": _MADE.format(n="i + 900"),
    "cancelled": "0",
    "failed_attempts": "0",
    "outputs_missing": "0",
    "metrics": f"'{_METRICS}'",
    "trace_context": "'{}'",
}
_TASK = {
    "task_id": "printf('%016d-001', i)",
    "backend": f"'{BACKEND}'",
    "type": "'runjob'",
    "job_id": "printf('%016d', i)",
    "attempt": "1",
    "definition": '\'{"image": "ghcr.io/opensafely-core/python:v2", "action": "action"}\'',
    "attributes": "'{}'",
    "created_at": _MADE.format(n="i"),
    "active": "0",
    "finished_at": _MADE.format(n="i + 900"),
    "agent_stage": "'finalized'",
    "agent_complete": "1",
    "agent_results": '\'{"exit_code": "0", "error": false}\'',
    "agent_timestamp_ns": "1600000000000000000 + i",
    "attempt_token": "printf('%032x', i)",
    "superseded": "0",
}
_EVENT = {
    "at": _MADE.format(n="i"),
    "kind": "'job.status'",
    "actor": "'scheduler'",
    "backend": f"'{BACKEND}'",
    "rap_id": f"printf('%016d', i / {RAP_JOBS})",
    "job_id": "printf('%016d', i)",
    "task_id": "''",
    "data": '\'{"from": "executing", "to": "succeeded"}\'',
}


def fill(database: Path, jobs: int) -> None:
    """Add `jobs` finished jobs with their requests, attempts and events to a migrated, empty database."""
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-1000000")
        made = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        indexes = [each for each in made if "controller_" in each[1]]
        for name, _ in indexes:
            connection.execute(f'DROP INDEX "{name}"')
        for table, columns, rows in (
            ("rap", _RAP, -(-jobs // RAP_JOBS)),
            ("job", _JOB, jobs),
            ("task", _TASK, jobs),
            ("event", _EVENT, jobs),
        ):
            _insert(connection, f"controller_{table}", columns, rows)
        for _, sql in indexes:
            connection.execute(sql)
        connection.commit()
        connection.execute("PRAGMA journal_mode=WAL")


def _insert(connection: sqlite3.Connection, table: str, columns: dict[str, str], rows: int) -> None:
    connection.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) "
        "WITH RECURSIVE counting(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM counting WHERE i + 1 < ?) "
        f"SELECT {', '.join(columns.values())} FROM counting",
        [rows],
    )


def cached(migrated: Path) -> Path:
    """A database like the empty one `migrated`, filled; made once for each schema and each text of this module."""
    with closing(sqlite3.connect(migrated)) as connection:
        schema = sorted(str(row[0]) for row in connection.execute("SELECT sql FROM sqlite_master"))
    key = hashlib.sha256("\n".join([*schema, Path(__file__).read_text(), str(JOBS)]).encode()).hexdigest()[:12]
    target = Path(tempfile.gettempdir()) / f"carrel-bench-scale-{key}.sqlite"
    if not target.exists():
        for outdated in target.parent.glob("carrel-bench-scale-*"):
            outdated.unlink()
        half_made = target.with_suffix(".new")
        half_made.write_bytes(migrated.read_bytes())
        fill(half_made, JOBS)
        half_made.replace(target)
    return target

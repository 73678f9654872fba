"""Versions of a warehouse's tables: those to read now, as jobs are pinned to them, and what moved since others.

Only names and commits in Delta's logs are looked at, so no library for them is needed here. A version of a whole
warehouse is written `Motion_v1=4,Weather_v1=2`, that of one table alone `delta:4`; in the address of a warehouse,
`?versions=Motion_v1=4,Weather_v1=2` and `?version=4`.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from carrel.warehouse.layout import APPLICATION, LOG, STATE, finished_run, is_table, table_folders, tables_folder

_COMMIT = re.compile(r"(\d{20})\.(?:json|checkpoint\b.*\.parquet)")
_ALONE = "delta:"


def version_of(root: Path) -> str:
    """Return the version to read now. Of a run of ingest under way it shows nothing, in any table: all of it or none.

    Raises ValueError when the warehouse's state cannot be understood.
    """
    if is_table(root):
        return f"{_ALONE}{_newest(root / LOG)}"
    try:
        finished = finished_run((root / STATE).read_bytes())
    except FileNotFoundError:  # ingest never ran here
        finished = None
    versions = {table.name: _before_open_runs(table, finished) for table in table_folders(root)}
    return ",".join(f"{name}={number}" for name, number in versions.items() if number is not None)


def query_of(version: str) -> str:
    """Return the version as the query of a `delta://` address, not yet quoted."""
    return f"version={version.removeprefix(_ALONE)}" if version.startswith(_ALONE) else f"versions={version}"


def pinned_versions(url: str, root: Path) -> dict[str, int] | None:
    """Return the version of each table that the address of the warehouse `root` fixes; None when it fixes none.

    Raises ValueError where they are no numbers.
    """
    query = parse_qs(url.partition("?")[2], keep_blank_values=True)
    if "version" in query:
        return {root.name: int(query["version"][0])}
    if "versions" not in query:
        return None
    pairs = (pair.rpartition("=") for pair in query["versions"][0].split(",") if pair)
    return {name: int(number) for name, _, number in pairs}


def changes(before: str, after: str) -> dict[str, list[str | None]]:
    """Return [the version before, the version after] of each table where they differ; None: it was not there.

    What is no warehouse counts as one table called `database`.
    """
    old, new = _tables(before), _tables(after)
    return {name: [old.get(name), new.get(name)] for name in sorted(old | new) if old.get(name) != new.get(name)}


def data_changes(root: Path, moved: Mapping[str, list[str | None]]) -> dict[str, list[str | None]]:
    """Keep those of `changes` whose rows or columns changed: compacting and cleaning make versions of the same data."""
    tables = {name: root if is_table(root) else tables_folder(root) / name for name in moved}
    return {name: pair for name, pair in moved.items() if _is_data_changed(tables[name], *pair)}


def _is_data_changed(table: Path, old: str | None, new: str | None) -> bool:
    """Tell whether any commit from `old` (without it) to `new` changed data; also when that cannot be told."""
    if old is None or new is None or not (old.isdigit() and new.isdigit()) or int(new) < int(old):
        return True
    return any(_changes_data(commit_of(table, version)) for version in range(int(old) + 1, int(new) + 1))


def commit_of(table: Path, version: int) -> Path:
    """Return the file of the log that made that version (format: Delta protocol); after cleaning it is gone."""
    return table / LOG / f"{version:020}.json"


def _changes_data(commit: Path) -> bool:
    try:
        with commit.open("rb") as stream:
            return any(_is_change(json.loads(line)) for line in stream if line.strip())
    except (OSError, ValueError):
        return True


def _is_change(action: Mapping[str, Any]) -> bool:
    """Tell whether other rows came or went, or the columns may be others (format: Delta protocol, actions)."""
    files = (action.get(kind) for kind in ("add", "remove"))
    return "metaData" in action or any(file.get("dataChange", True) for file in files if file)


def change_lines(moved: Mapping[str, list[str | None]]) -> list[str]:
    """Write a line for each table of `changes`, to be read by people."""
    return [f"{name}: {old or 'not there'} -> {new or 'not there'}" for name, (old, new) in moved.items()]


def _tables(version: str) -> dict[str, str]:
    pairs = [pair.rpartition("=") for pair in version.split(",") if pair]
    if all(name and number.isdigit() for name, _, number in pairs):
        return {name: number for name, _, number in pairs}
    return {"database": version.removeprefix(_ALONE)}


def _newest(log: Path) -> int:
    return max((int(match[1]) for path in log.iterdir() if (match := _COMMIT.fullmatch(path.name))), default=0)


def _before_open_runs(table: Path, finished: int | None) -> int | None:
    """Return the last version that no unfinished run has touched; None when there is none, as of a table just made."""
    version = _newest(table / LOG)
    while finished is not None and (_run_of(commit_of(table, version)) or 0) > finished:
        if version == 0:
            return None
        version -= 1
    return version


def _run_of(commit: Path) -> int | None:
    """Return the run of ingest that made this commit; None for one of others, or long gone into a checkpoint."""
    try:
        with commit.open("rb") as stream:
            actions = [json.loads(line) for line in stream if b'"txn"' in line]
    except FileNotFoundError:
        return None
    transactions = (action.get("txn") or {} for action in actions)
    return next((int(txn["version"]) for txn in transactions if txn.get("appId") == APPLICATION), None)

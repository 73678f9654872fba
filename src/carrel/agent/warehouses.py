"""Delta warehouses as the agent sees them: the versions of the tables a job is to read, and what moved since another.

Only names and commits in Delta's logs are looked at, so no library for them is needed here. A version of a whole
warehouse is written `Motion_v1=4,Weather_v1=2`, that of one table alone `delta:4`.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOG = "_delta_log"
STATE = "_runs/state.json"
INGEST = "carrel-ingest"
"""Application id of the commits that `carrel ingest` makes; their transaction's version is the number of its run."""
_COMMIT = re.compile(r"(\d{20})\.(?:json|checkpoint\b.*\.parquet)")
_ALONE = "delta:"


def tables_folder(root: Path) -> Path:
    """What of a warehouse a job may see: its tables, not the ledger, the quarantine and the plans beside them."""
    inside = root / "tables"
    return inside if inside.is_dir() else root


def version_of(root: Path) -> str:
    """The version to read now. Of a run of ingest under way it shows nothing, in any table: all of it or none.

    Raises ValueError when the warehouse's state cannot be understood.
    """
    if (root / LOG).is_dir():
        return f"{_ALONE}{_newest(root / LOG)}"
    finished = _finished_run(root)
    tables = sorted(path.parent for path in tables_folder(root).glob(f"*/{LOG}"))
    versions = {table.name: _before_open_runs(table / LOG, finished) for table in tables}
    return ",".join(f"{name}={number}" for name, number in versions.items() if number is not None)


def query_of(version: str) -> str:
    """The version as the query of a `delta://` address, not yet quoted."""
    return f"version={version.removeprefix(_ALONE)}" if version.startswith(_ALONE) else f"versions={version}"


def changes(before: str, after: str) -> dict[str, list[str | None]]:
    """Table -> [its version before, its version after], of those that differ; None: it was not there.

    What is no warehouse counts as one table called `database`.
    """
    old, new = _tables(before), _tables(after)
    return {name: [old.get(name), new.get(name)] for name in sorted(old | new) if old.get(name) != new.get(name)}


def of_data(root: Path, moved: Mapping[str, list[str | None]]) -> dict[str, list[str | None]]:
    """Those of `changes` whose rows or columns changed: compacting and cleaning make versions with the same data."""
    return {name: pair for name, pair in moved.items() if _data_changed(_log_of(root, name), *pair)}


def _log_of(root: Path, table: str) -> Path:
    return (root if (root / LOG).is_dir() else tables_folder(root) / table) / LOG


def _data_changed(log: Path, old: str | None, new: str | None) -> bool:
    """Whether any commit from `old` (without it) to `new` changed data; also when that cannot be told."""
    if old is None or new is None or not (old.isdigit() and new.isdigit()) or int(new) < int(old):
        return True
    return any(_changes_data(log / f"{version:020}.json") for version in range(int(old) + 1, int(new) + 1))


def _changes_data(commit: Path) -> bool:
    try:
        with commit.open("rb") as stream:
            return any(_is_change(json.loads(line)) for line in stream if line.strip())
    except (OSError, ValueError):
        return True


def _is_change(action: Mapping[str, Any]) -> bool:
    """A file with other rows came or went, or the table's columns may be others (format: Delta protocol, actions)."""
    files = (action.get(kind) for kind in ("add", "remove"))
    return "metaData" in action or any(file.get("dataChange", True) for file in files if file)


def told(moved: Mapping[str, list[str | None]]) -> list[str]:
    """A line for each table of `changes`, to be read by people."""
    return [f"{name}: {old or 'not there'} -> {new or 'not there'}" for name, (old, new) in moved.items()]


def _tables(version: str) -> dict[str, str]:
    pairs = [pair.rpartition("=") for pair in version.split(",") if pair]
    if all(name and number.isdigit() for name, _, number in pairs):
        return {name: number for name, _, number in pairs}
    return {"database": version.removeprefix(_ALONE)}


def _newest(log: Path) -> int:
    return max((int(found[1]) for path in log.iterdir() if (found := _COMMIT.fullmatch(path.name))), default=0)


def _finished_run(root: Path) -> int | None:
    """Number of the last run of ingest whose commits are all made; None where ingest never ran."""
    try:
        state = json.loads((root / STATE).read_bytes())
        return int(state["number"]) - (state["state"] == "open")
    except FileNotFoundError:
        return None
    except (KeyError, TypeError) as error:
        raise ValueError(f"{STATE} of the warehouse is damaged") from error


def _before_open_runs(log: Path, finished: int | None) -> int | None:
    """The last version that no unfinished run has touched; None when there is none, as of a table just made."""
    version = _newest(log)
    while finished is not None and (_run_of(log / f"{version:020}.json") or 0) > finished:
        if version == 0:
            return None
        version -= 1
    return version


def _run_of(commit: Path) -> int | None:
    """The run of ingest that made this commit; None for one of others, or long gone into a checkpoint."""
    try:
        with commit.open("rb") as stream:
            actions = [json.loads(line) for line in stream if b'"txn"' in line]
    except FileNotFoundError:
        return None
    found = (action.get("txn") or {} for action in actions)
    return next((int(each["version"]) for each in found if each.get("appId") == INGEST), None)

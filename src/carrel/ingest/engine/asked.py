"""Withdrawals that were asked for and are not done yet, so that a kill forgets none. Only tombstones are kept."""

import json
from collections.abc import Iterable

from carrel.ingest.commit import Storage
from carrel.telemetry import faults

KEY = "_runs/withdrawal.json"


def ask(storage: Storage, tombstones: Iterable[str]) -> None:
    """From here on, whichever command writes next carries the withdrawal out."""
    wanted = sorted(asked(storage) | set(tombstones))
    storage.write(KEY, json.dumps({"tombstones": wanted}).encode())
    faults.point("ingest.withdrawal_asked")


def asked(storage: Storage) -> frozenset[str]:
    """What is still to be done; nothing, nearly always."""
    found: list[str] = json.loads(storage.read(KEY) or b'{"tombstones": []}')["tombstones"]
    return frozenset(found)


def answered(storage: Storage) -> None:
    """All of it is done."""
    storage.delete(KEY)
    faults.point("ingest.withdrawal_answered")


def unfinished(storage: Storage) -> str | None:
    """For whoever reads the warehouse meanwhile."""
    if not asked(storage):
        return None
    return (
        "A withdrawal is not finished: tables may still hold rows of who withdrew. If no other ingest is at work, run "
        "`carrel ingest withdraw` with the same codes again; `run`, `replay`, `compact` and `archive` finish it too."
    )

"""Withdrawals that were asked for and are not done yet, so that a kill forgets none. Only tombstones are kept."""

import json
from collections.abc import Callable, Iterable

from carrel.ingest.store import WarehouseStorage
from carrel.telemetry import faults
from carrel.warehouse.layout import WITHDRAWAL


def request_withdrawal(storage: WarehouseStorage, tombstones: Iterable[str]) -> None:
    """Write the request down: from here on, whichever command writes next carries the withdrawal out."""
    requested = frozenset(tombstones)
    _change(storage, lambda pending: pending | requested)
    faults.point("ingest.withdrawal_asked")


def requested_withdrawals(storage: WarehouseStorage) -> frozenset[str]:
    """The tombstones of withdrawals that are still to be carried out; nearly always none."""
    return _pending(storage.read(WITHDRAWAL))


def complete_withdrawals(storage: WarehouseStorage, tombstones: Iterable[str]) -> None:
    """Forget these: they are carried out."""
    done = frozenset(tombstones)
    _change(storage, lambda pending: pending - done)
    faults.point("ingest.withdrawal_answered")


def _pending(written: bytes | None) -> frozenset[str]:
    return frozenset(json.loads(written)["tombstones"]) if written else frozenset()


def _change(storage: WarehouseStorage, change: Callable[[frozenset[str]], frozenset[str]]) -> None:
    """Exchanged, not overwritten: a coordinator that slept while another took over must not forget what that one was
    asked for."""
    while True:
        before = storage.read(WITHDRAWAL)
        after = json.dumps({"tombstones": sorted(change(_pending(before)))}).encode()
        if after == before or storage.exchange(WITHDRAWAL, before, after):
            return


def unfinished_withdrawal(storage: WarehouseStorage) -> str | None:
    """What whoever reads the warehouse meanwhile must know; None when nothing is pending."""
    if not requested_withdrawals(storage):
        return None
    return (
        "A withdrawal is not finished: tables may still hold rows of who withdrew. If no other ingest is at work, run "
        "`carrel ingest withdraw` with the same codes again; `run`, `replay`, `compact` and `archive` finish it too."
    )

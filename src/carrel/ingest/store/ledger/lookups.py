"""Finding lines without reading the ledger: files and row groups are pruned by keys, and only key columns are read."""

from collections import Counter
from collections.abc import Collection, Iterable

import pyarrow as pa
import pyarrow.dataset as ds

from carrel.ingest.store import LEDGER, WarehouseStorage, open_dataset, open_table
from carrel.ingest.store.ledger.lines import Line, archive_key, from_arrow
from carrel.ingest.store.ledger.skipped import COLUMNS, skipped_files
from carrel.ingest.values import ArchiveRef

ROW_GROUP = 4_096
"""Rows of the ledger are sorted by record key; small row groups make look-ups of few records cheap."""


class Ledger:
    """The ledger at one version (default: now); every answer is of that version."""

    def __init__(self, storage: WarehouseStorage, version: int | None = None):
        self.storage = storage
        self.table = open_table(storage, LEDGER, version)
        self.version = self.table.version() if self.table else None
        self._dataset: ds.Dataset | None = None

    @property
    def dataset(self) -> ds.Dataset | None:
        """As an Arrow dataset, made when first asked for."""
        if self._dataset is None and self.table is not None:
            self._dataset = open_dataset(self.storage, LEDGER, self.table)
        return self._dataset

    def known(self, refs: Iterable[ArchiveRef]) -> frozenset[int]:
        """Archive keys of `refs` that have a line."""
        keys = [archive_key(ref) for ref in refs]
        if self.dataset is None or not keys:
            return frozenset()
        are_asked_for = ds.field("archive_key").isin(pa.array(keys, pa.int64()))
        table = self.dataset.to_table(columns=["archive_key"], filter=are_asked_for)
        return frozenset(table.column(0).to_pylist())

    def of_records(self, record_keys: Collection[int]) -> dict[int, list[Line]]:
        """Read the lines of these records, by record key."""
        histories: dict[int, list[Line]] = {}
        if self.dataset is None or not record_keys:
            return histories
        are_theirs = ds.field("record_key").isin(pa.array(sorted(record_keys), pa.int64()))
        for line in from_arrow(self.dataset.to_table(filter=are_theirs)):
            histories.setdefault(line.record_key, []).append(line)
        return histories

    def tombstones(self) -> frozenset[str]:
        """Read the tombstones of everything that was withdrawn."""
        if self.dataset is None:
            return frozenset()
        table = self.dataset.to_table(columns=["tombstone"], filter=ds.field("tombstone").is_valid())
        return frozenset(table.column(0).to_pylist())

    def skipped_files(self) -> Counter[str]:
        """Path of a file that belongs to no dataset -> how many records have such a file now."""
        return skipped_files(self.dataset.to_table(columns=COLUMNS)) if self.dataset is not None else Counter()

    def lines(self) -> list[Line]:
        """Read the whole ledger into memory."""
        return from_arrow(self.dataset.to_table()) if self.dataset is not None else []

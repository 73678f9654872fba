"""Rows of many files in one order, of which never more than a bounded part is in memory.

Sorted runs are written to a local folder, then merged: of the next few rows of every run, those that come before all
that is not loaded yet are sorted together and handed on.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")

Key = tuple[tuple[bool, Any], ...]
"""What a row is ordered by, comparable: nulls are last, as Arrow sorts them."""


class Ordering:
    """`keys`: what rows are ordered by; rows with equal keys stay in the order in which they came.

    `memory_bytes`: about how much Arrow data is held at once, if no block alone is larger than a quarter of it.
    """

    def __init__(self, scratch: Path, keys: Sequence[str], memory_bytes: int):
        self.scratch = scratch
        self.keys = list(keys)
        self.memory_bytes = memory_bytes

    def order(self, blocks: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Yield all rows of `blocks`, which are of one schema, in order."""
        with tempfile.TemporaryDirectory(dir=self.scratch, prefix="ordering-") as folder:
            runs: list[_Run] = []
            for rows in self._sort_parts(blocks):
                runs.append(_Run(Path(folder) / f"{len(runs)}.arrow", self.keys, rows, self.memory_bytes // 256))
                del rows
            yield from self._merge(runs)

    def _sort_parts(self, blocks: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Each part is of about a quarter of the memory, since sorting makes a copy."""
        part: list[pa.Table] = []
        size = 0
        for block in blocks:
            part.append(block)
            size += block.nbytes
            if size > self.memory_bytes // 4:
                yield self._sort(part)
                part, size = [], 0
        if part:
            yield self._sort(part)

    def _sort(self, tables: list[pa.Table]) -> pa.Table:
        rows = pa.concat_tables(tables)
        return rows.take(pc.sort_indices(rows, sort_keys=[(key, "ascending") for key in self.keys]))

    def _merge(self, runs: list["_Run"]) -> Iterator[pa.Table]:
        """Go step by step up to the first key of which a run may have more rows than it has loaded."""
        pending = [run for run in runs if run.load()]
        while pending:
            limit = min((run.last_key() for run in pending if run.has_more), default=None)
            parts = []
            with_limit = True
            for run in pending:
                may_have_more = run.has_more and run.last_key() == limit
                parts.append(run.take(limit, with_limit))
                # The rest of this run's rows with that key come before those of later runs.
                with_limit = with_limit and not may_have_more
            yield self._sort(parts)
            pending = [run for run in pending if run.load()]


class _Run:
    """A sorted run on disk, of which a few rows are loaded."""

    def __init__(self, path: Path, keys: Sequence[str], rows: pa.Table, batch_bytes: int):
        size = max(1, int(rows.num_rows * batch_bytes / max(rows.nbytes, 1)))
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, rows.schema, options=_OPTIONS) as writer:
            writer.write_table(rows, max_chunksize=size)
        self.keys = keys
        self._file = pa.ipc.open_file(pa.OSFile(str(path), "rb"))
        self._at = 0
        self._rows: pa.Table = rows.schema.empty_table()

    @property
    def has_more(self) -> bool:
        """Whether there are rows that are not loaded."""
        return self._at < self._file.num_record_batches

    def load(self) -> bool:
        """Load some rows, if none is loaded and there are more; whether any is loaded now."""
        while not self._rows.num_rows and self.has_more:
            self._rows = pa.Table.from_batches([self._file.get_batch(self._at)])
            self._at += 1
        return bool(self._rows.num_rows)

    def last_key(self) -> Key:
        """The key of the last loaded row. What is not loaded does not come before it."""
        return self._key(self._rows.num_rows - 1)

    def take(self, limit: Key | None, with_limit: bool) -> pa.Table:
        """Take out the loaded rows before `limit` (None: all), or up to and with it."""
        count = self._rows.num_rows if limit is None else self._count(limit, with_limit)
        taken, self._rows = self._rows.slice(0, count), self._rows.slice(count)
        return taken

    def _count(self, limit: Key, with_limit: bool) -> int:
        """Count the loaded rows before `limit`, or up to and with it, by bisection."""
        low, high = 0, self._rows.num_rows
        while low < high:
            middle = (low + high) // 2
            key = self._key(middle)
            low, high = (middle + 1, high) if key < limit or (with_limit and key == limit) else (low, middle)
        return low

    def _key(self, row: int) -> Key:
        values = (self._rows.column(key)[row].as_py() for key in self.keys)
        return tuple((value is None, 0 if value is None else value) for value in values)

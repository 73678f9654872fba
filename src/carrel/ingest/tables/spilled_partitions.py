"""A table of any size, partitioned by the values of some columns: one combination after the other, in bounded memory.

The rows are read twice: first the columns that they are partitioned by, to know how many rows each combination has;
then everything, each row into a scratch file that it shares with few others. So neither many combinations nor large
ones fill the memory, and no combination is begun twice.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from carrel.ingest.tables.partitions import Values, partitions

Blocks = Callable[[Sequence[str] | None], Iterator[pa.Table]]
"""The table block by block, from the beginning at each call; of these columns (None: all)."""
_CHUNK = 131_072


@dataclass(frozen=True, slots=True)
class Bounds:
    """`group_bytes`: about how much of the table is in memory at once; `open_files`: scratch files that are open at
    once, each of about `group_bytes` before compression."""

    group_bytes: int = 64_000_000
    open_files: int = 64


DEFAULT = Bounds()


def partition_blocks(
    blocks: Blocks, by: Sequence[str], scratch: Path, bounds: Bounds = DEFAULT
) -> Iterator[tuple[Values, Iterator[pa.Table]]]:
    """(values of the columns `by`, their rows in chunks), in the order of the values. Take all chunks before the next.

    `scratch`: an existing folder; what is written there is gone afterwards. Rows of a combination keep their order.
    """
    first = next(blocks(None), None)
    rows_at_once = 1
    if first is not None and first.num_rows:
        rows_at_once = max(1, bounds.group_bytes * first.num_rows // max(first.nbytes, 1))
    groups = list(_groups(_count_rows(blocks, by), rows_at_once))
    for start in range(0, len(groups), bounds.open_files):
        batch = groups[start : start + bounds.open_files]
        for group, path in zip(batch, _spill(blocks, by, batch, scratch), strict=True):
            yield from _read_group(group, by, path)


def _count_rows(blocks: Blocks, by: Sequence[str]) -> dict[Values, int]:
    counts: dict[Values, int] = {}
    for block in blocks(by):
        for values, rows in partitions(block, by):
            counts[values] = counts.get(values, 0) + rows.num_rows
    return counts


def _groups(counts: dict[Values, int], most: int) -> Iterator[list[Values]]:
    """Combinations that are taken together: several small ones, or a single one of any size."""
    group: list[Values] = []
    rows = 0
    for values in sorted(counts, key=lambda values: [(value is not None, value) for value in values]):
        if group and rows + counts[values] > most:
            yield group
            group, rows = [], 0
        group.append(values)
        rows += counts[values]
    if group:
        yield group


def _spill(blocks: Blocks, by: Sequence[str], groups: list[list[Values]], scratch: Path) -> list[Path]:
    """Write the rows of each group to a file of its own."""
    numbers = {values: number for number, group in enumerate(groups) for values in group}
    paths = [scratch / f"spill-{number:04d}.arrow" for number in range(len(groups))]
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
    with ExitStack() as files:
        for block in blocks(None):
            for values, rows in partitions(block, by):
                number = numbers.get(values)
                if number is None:
                    continue
                if number not in writers:
                    writer = pa.ipc.new_stream(str(paths[number]), block.schema, options=options)
                    writers[number] = files.enter_context(writer)
                writers[number].write_table(rows)
    return paths


def _read_group(group: list[Values], by: Sequence[str], path: Path) -> Iterator[tuple[Values, Iterator[pa.Table]]]:
    try:
        with pa.OSFile(str(path), "rb") as file, pa.ipc.open_stream(file) as reader:
            if len(group) == 1:
                yield group[0], _chunks(reader)
            else:
                by_values = dict(partitions(reader.read_all(), by))
                for values in sorted(by_values, key=group.index):
                    yield values, iter([by_values[values]])
    finally:
        path.unlink()


def _chunks(reader: pa.ipc.RecordBatchStreamReader) -> Iterator[pa.Table]:
    """Batches joined to chunks of a sensible size: each becomes a row group."""
    batches: list[pa.RecordBatch] = []
    rows = 0
    for batch in reader:
        batches.append(batch)
        rows += batch.num_rows
        if rows >= _CHUNK:
            yield pa.Table.from_batches(batches)
            batches, rows = [], 0
    if batches:
        yield pa.Table.from_batches(batches)

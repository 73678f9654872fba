"""Rows partitioned by the values of some of their columns, in memory."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

Values = tuple[object, ...]
"""One value for each column that rows are partitioned by; None where it is null."""


def partitions(rows: pa.Table, by: Sequence[str]) -> Iterator[tuple[Values, pa.Table]]:
    """(values of the columns `by`, the rows that have them), each combination once; rows keep their order."""
    if not rows.num_rows:
        return
    codes = _codes(rows, by)
    counts = pc.value_counts(codes).to_pylist()
    if len(counts) > 1:
        order = pc.array_sort_indices(codes)  # it is stable
        rows = rows.take(order)
        counts = pc.value_counts(codes.take(order)).to_pylist()
    start = 0
    for count in counts:
        part = rows.slice(start, count["counts"])
        start += part.num_rows
        yield values_of(part, by), part


def values_of(rows: pa.Table, by: Sequence[str]) -> Values:
    """The first row's values of these columns."""
    return tuple(rows.column(name)[0].as_py() for name in by)


def _codes(rows: pa.Table, by: Sequence[str]) -> pa.Array:
    """A number for each row, equal for rows of equal values."""
    codes = pa.repeat(pa.scalar(0, pa.int64()), rows.num_rows)
    for name in by:
        column = rows.column(name)
        plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        encoded = pa.concat_arrays(plain.chunks).dictionary_encode(null_encoding="encode")
        size = pa.scalar(len(encoded.dictionary), pa.int64())
        codes = pc.add(pc.multiply(codes, size), encoded.indices.cast(pa.int64()))
    return codes

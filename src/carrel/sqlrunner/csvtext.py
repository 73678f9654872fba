"""Arrow batches as CSV text (RFC 4180, lines ended by LF), column at a time.

NULL is nothing at all between two commas; an empty text is `""`. In a file of one column, where nothing at all would be
an empty line that readers skip, both are `""`. pyarrow's own writer is not used: it quotes every text and every header.
"""

import pyarrow as pa
import pyarrow.compute as pc

from carrel.sqlrunner.errors import UnfitValue

_TEXT = pa.large_string()
_TO_QUOTE = r'[",\r\n]|^$|^\s|\s$'


def header(names: list[str]) -> bytes:
    """Return the first line."""
    return lines(pa.RecordBatch.from_arrays([pa.array([name]) for name in names], names=names))


def check(schema: pa.Schema) -> None:
    """Raise `UnfitValue` for a column that CSV has no way to write."""
    for field in schema:
        kind = field.type
        if pa.types.is_nested(kind) or pa.types.is_interval(kind) or pa.types.is_duration(kind):
            raise UnfitValue(
                f"Column {field.name!r} is of type {kind}, which CSV cannot hold: "
                "cast it to text in the query, or write .parquet or .arrow."
            )


def lines(batch: pa.RecordBatch) -> bytes:
    """Write one line for each row."""
    if batch.num_rows == 0:
        return b""
    nothing = '""' if batch.num_columns == 1 else ""
    columns = [pc.fill_null(_text(column), nothing) for column in batch.columns]
    comma, newline, nothing_between = (pa.scalar(text, _TEXT) for text in (",", "\n", ""))
    ended = pc.binary_join_element_wise(pc.binary_join_element_wise(*columns, comma), newline, nothing_between)
    length = pc.sum(pc.binary_length(ended)).as_py()
    return bytes(ended.buffers()[2][:length])


def _text(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    binary_kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    if any(is_kind(column.type) for is_kind in binary_kinds):
        return pa.array([None if value is None else value.hex() for value in column.to_pylist()], _TEXT)
    text = pc.cast(column, _TEXT)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return text
    doubled, quote = pc.replace_substring(text, '"', '""'), pa.scalar('"', text.type)
    quoted = pc.binary_join_element_wise(quote, doubled, quote, pa.scalar("", text.type))
    return pc.if_else(pc.match_substring_regex(text, _TO_QUOTE), quoted, text)

"""A search for codes through every file of a warehouse: each text of a Parquet file, the bytes of all others."""

import json
import re
from collections.abc import Collection, Iterator
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from carrel.ingest.commit import Storage

_AT_ONCE = 200
"""So many codes make one pattern: with more, the library's automaton outgrows its memory and becomes slow."""
_CHUNK = 4_000_000
_ROWS = 65_536


class Codes:
    """Texts to look for, inside other texts. `apart`: only where no letter or digit goes before or follows."""

    def __init__(self, codes: Collection[str], apart: bool = False):
        plain = _patterns(codes)
        self.patterns = [rf"(?:^|[^A-Za-z0-9])(?:{each})(?:[^A-Za-z0-9]|$)" if apart else each for each in plain]
        self.longest = max((len(form) for code in codes for form in _forms(code)), default=0)
        self.in_bytes = list(_patterns({form.decode("latin-1") for code in codes for form in _forms(code)}))

    def inside(self, texts: pa.ChunkedArray) -> pa.ChunkedArray:
        """Which of `texts` have one of the codes in them; false where there is no text."""
        found = pa.chunked_array([pa.repeat(pa.scalar(False), len(texts))])
        for pattern in self.patterns:
            found = pc.or_(found, pc.fill_null(pc.match_substring_regex(texts, pattern), False))
        return found

    def anywhere(self, texts: pa.ChunkedArray) -> bool:
        """Whether any of `texts` has one of the codes in it."""
        return any(pc.any(pc.match_substring_regex(texts, each)).as_py() for each in self.patterns if len(texts))

    def within(self, data: bytes) -> bool:
        """Whether bytes have a code in them: as UTF-8, as JSON or as a URL writes it."""
        held = pa.array([data.decode("latin-1")])
        return any(pc.any(pc.match_substring_regex(held, each)).as_py() for each in self.in_bytes)


def _patterns(codes: Collection[str]) -> Iterator[str]:
    ordered = sorted(codes)
    for start in range(0, len(ordered), _AT_ONCE):
        yield "|".join(re.escape(code) for code in ordered[start : start + _AT_ONCE])


def _forms(code: str) -> set[bytes]:
    data = code.encode("utf-8", "surrogatepass")
    return {data, json.dumps(code)[1:-1].encode(), quote(data).encode(), quote(data, safe="").encode()}


class Search:
    """What was searched, and which files (`holding`) have a code in them."""

    def __init__(self, storage: Storage, codes: Collection[str]):
        self.storage = storage
        self.codes = Codes(codes)
        self.files = 0
        self.cells = 0
        self.holding: list[str] = []

    def run(self) -> "Search":
        """Reads the whole warehouse, a part of one column of one file at a time."""
        for key in self.storage.keys(""):
            self.files += 1
            found = self._in_parquet(key) if key.endswith(".parquet") else self._in_bytes(key)
            if found or self.codes.within(key.encode("utf-8", "surrogateescape")):
                self.holding.append(key)
        return self

    def _in_bytes(self, key: str) -> bool:
        """Chunks overlap, so that none can cut a code in two."""
        with self.storage.open(key) as stream:
            before = b""
            while chunk := stream.read(_CHUNK):
                if self.codes.within(before + chunk):
                    return True
                before = (before + chunk)[-self.codes.longest :]
        return False

    def _in_parquet(self, key: str) -> bool:
        with self.storage.open(key) as stream, pq.ParquetFile(stream) as file:
            names = sorted(set(file.schema_arrow.names))
            return self.codes.within("\n".join(names).encode()) or any(self._in_column(file, each) for each in names)

    def _in_column(self, file: pq.ParquetFile, name: str) -> bool:
        for batch in file.iter_batches(_ROWS, columns=[name], use_threads=False):
            for texts in _texts(pa.chunked_array([batch.column(0)])):
                self.cells += len(texts)
                if self.codes.anywhere(texts.unique()):
                    return True
        return False


def _texts(column: pa.ChunkedArray) -> Iterator[pa.ChunkedArray]:
    """Every text in a column, however deep: a checkpoint of a table's log nests them."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        yield from _texts(pc.cast(column, kind.value_type))
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        yield pc.cast(column, pa.large_string())
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        yield pc.cast(column, pa.large_binary())
    elif pa.types.is_map(kind):
        entries = pa.struct([("key", kind.key_type), ("value", kind.item_type)])
        yield from _texts(pc.list_flatten(pc.cast(column, pa.list_(entries))))
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _texts(pc.list_flatten(column))
    elif pa.types.is_struct(kind):
        for number in range(kind.num_fields):
            yield from _texts(pc.struct_field(column, number))

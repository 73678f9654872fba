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


def naming(texts: pa.ChunkedArray, codes: Collection[str]) -> pa.ChunkedArray:
    """Which of `texts` have one of the codes in them, no letter or digit before or after it; false where there is no
    text."""
    found = pa.chunked_array([pa.repeat(pa.scalar(False), len(texts))])
    for each in _patterns(codes):
        apart = rf"(?:^|[^A-Za-z0-9])(?:{each})(?:[^A-Za-z0-9]|$)"
        found = pc.or_(found, pc.fill_null(pc.match_substring_regex(texts, apart), False))
    return found


class _Pile:
    """Texts of several files that are looked through at once: patterns cost more to prepare than to match."""

    def __init__(self, codes: Collection[str]):
        self._patterns = list(_patterns(codes))
        self._pieces: list[tuple[str, pa.Array]] = []
        self._bytes = 0

    def add(self, key: str, texts: pa.Array) -> Collection[str]:
        """`texts` of the file `key`; if it was time to look: the files that have a code in them."""
        self._pieces.append((key, texts))
        self._bytes += texts.nbytes
        return self.look() if self._bytes >= _CHUNK else ()

    def look(self) -> Collection[str]:
        """The files of the pile that have a code in them; the pile is empty then."""
        pieces, self._pieces, self._bytes = self._pieces, [], 0
        if not pieces or not self._anywhere(pa.concat_arrays([texts for _, texts in pieces])):
            return ()
        return {key for key, texts in pieces if self._anywhere(texts)}

    def _anywhere(self, texts: pa.Array) -> bool:
        return any(pc.any(pc.match_substring_regex(texts, each)).as_py() for each in self._patterns)


def _patterns(codes: Collection[str]) -> Iterator[str]:
    ordered = sorted(codes)
    for start in range(0, len(ordered), _AT_ONCE):
        yield "|".join(re.escape(code) for code in ordered[start : start + _AT_ONCE])


def _forms(code: str) -> set[bytes]:
    """A code in bytes: as UTF-8, as JSON and as a URL writes it."""
    data = code.encode("utf-8", "surrogatepass")
    return {data, json.dumps(code)[1:-1].encode(), quote(data).encode(), quote(data, safe="").encode()}


class Search:
    """What was searched, and which files (`holding`) have one of the `codes` in them."""

    def __init__(self, storage: Storage, codes: Collection[str]):
        self.storage = storage
        self.files = 0
        self.cells = 0
        self._found: set[str] = set()
        forms = {form for code in codes for form in _forms(code)}
        self._overlap = max(map(len, forms), default=0)
        self._texts = {kind: _Pile(codes) for kind in (pa.large_string(), pa.large_binary())}
        self._bytes = _Pile({form.decode("latin-1") for form in forms})

    @property
    def holding(self) -> list[str]:
        return sorted(self._found)

    def run(self) -> "Search":
        """Reads the whole warehouse, a part of one column of one file at a time."""
        for key in self.storage.keys(""):
            self.files += 1
            self._take_bytes(key, key.encode("utf-8", "surrogateescape"))
            if key.endswith(".parquet"):
                self._take_parquet(key)
            else:
                self._take_file(key)
        for pile in (*self._texts.values(), self._bytes):
            self._found.update(pile.look())
        return self

    def _take_bytes(self, key: str, data: bytes) -> None:
        """Each byte as the character of its number."""
        self._found.update(self._bytes.add(key, pa.array([data.decode("latin-1")])))

    def _take_file(self, key: str) -> None:
        """Chunks overlap, so that none can cut a code in two."""
        with self.storage.open(key) as stream:
            before = b""
            while chunk := stream.read(_CHUNK):
                self._take_bytes(key, before + chunk)
                before = (before + chunk)[-self._overlap :]

    def _take_parquet(self, key: str) -> None:
        with self.storage.open(key) as stream, pq.ParquetFile(stream) as file:
            names = sorted(set(file.schema_arrow.names))
            self._take_bytes(key, "\n".join(names).encode())
            for name in names:
                for batch in file.iter_batches(_ROWS, columns=[name], use_threads=False):
                    self._take_column(key, batch.column(0))

    def _take_column(self, key: str, column: pa.Array) -> None:
        for texts in _texts(pa.chunked_array([column])):
            self.cells += len(texts)
            self._found.update(self._texts[texts.type].add(key, texts.unique()))


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

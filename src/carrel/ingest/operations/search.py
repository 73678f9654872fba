"""A search for codes, as whole values, through every file of a warehouse: each text of a Parquet file, the bytes of
all others.

`rec1` stands in `{"id":"rec1"}`, in `s3://bucket/rec1-77f0.zip` and in the escaped text `"\\nrec1"`, and does not stand
in `rec10`. In `rec1-b` it stands too, unless `rec1-b` is known to be the id of somebody else.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from itertools import accumulate
from urllib.parse import quote, quote_plus

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from carrel.ingest.store import WarehouseStorage
from carrel.ingest.tables.raw_json import raw_json_stem

AT_ONCE = 200
"""So many codes make one pattern: with more, the library's automaton outgrows its memory and becomes slow."""
_CHUNK = 4_000_000
_ROWS = 65_536
_ESCAPES = (r"\\[nrtbf]", r"\\u[0-9A-Fa-f]{4}", r"%[0-9A-Fa-f]{2}")
"""What JSON and URLs write for one character: it may end in a letter and still be none."""
_LONGEST_ESCAPE = 6
_BEFORE = "|".join(["^", "[^A-Za-z0-9]", *_ESCAPES])
_AFTER = "[^A-Za-z0-9]|$"
_CUT = "\u2026"
"""At an end of a text: it goes on there, out of sight. No byte is written so."""
_JUST_BEFORE = "|".join([r"(?<![A-Za-z0-9])", *(f"(?<={escape})" for escape in _ESCAPES)])


class WholeValues:
    """Codes to look for. `others`: values that are not looked for, and that a code may be a part of.

    `as_bytes`: the texts to look through have a character for each byte of UTF-8.
    """

    def __init__(self, codes: Iterable[str], others: Iterable[str] = (), as_bytes: bool = False):
        forms = sorted({form for code in codes for form in _forms(code, as_bytes)}, key=lambda form: (-len(form), form))
        excuses = {form for other in others for form in _forms(other, as_bytes)}
        self._parts = [_alternatives(forms[start : start + AT_ONCE]) for start in range(0, len(forms), AT_ONCE)]
        self._alone = [re.compile(_standing(part)) for part in self._parts]
        self._excuse = re.compile(_standing(_alternatives(sorted(excuses, key=len, reverse=True)))) if excuses else None
        self._context = max(map(len, excuses), default=0) + _LONGEST_ESCAPE + len(f"x{_CUT}")
        self.reach = max(map(len, forms), default=0) + 2 * self._context
        """So many characters round the end of a code decide whether it stands there."""

    def standing_in(self, texts: pa.ChunkedArray) -> pa.ChunkedArray:
        """Which of `texts` have a code in them as a whole value; false where there is no text."""
        matches = pa.chunked_array([pa.repeat(pa.scalar(False), len(texts))])
        for part in self._parts:
            apart = f"(?:{_BEFORE})(?:{part})(?:{_AFTER})"
            matches = pc.or_(matches, pc.fill_null(pc.match_substring_regex(texts, apart), False))
        if self._excuse is None or not pc.any(matches).as_py():
            return matches
        sure = [is_match and self._stands(text) for is_match, text in zip(matches, texts, strict=True)]
        return pa.chunked_array([pa.array(sure, pa.bool_())])

    def are_in(self, texts: pa.Array) -> bool:
        """Whether any of `texts` has a code in it as a whole value. A mere occurrence is looked for first: that is
        quick, and most often there is none."""
        for part in self._parts:
            matches = pc.fill_null(pc.match_substring_regex(texts, part), False)
            if pc.any(matches).as_py() and pc.any(self.standing_in(pa.chunked_array([texts.filter(matches)]))).as_py():
                return True
        return False

    def _stands(self, text: pa.Scalar) -> bool:
        """Whether a code stands in the text outside all other values; not near a cut, where they cannot be seen."""
        value = text.as_py()
        whole = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
        assert self._excuse
        first = self._context if whole.startswith(_CUT) else 0
        last = len(whole) - (self._context if whole.endswith(_CUT) else 0)
        spans = sorted(_spans(self._excuse, whole))
        starts = [start for start, _ in spans]
        ends = list(accumulate((end for _, end in spans), max))
        for pattern in self._alone:
            for start, end in _spans(pattern, whole):
                before = bisect_right(starts, start)
                is_excused = before and ends[before - 1] >= end
                if first <= start and end <= last and not is_excused:
                    return True
        return False


def _alternatives(forms: Iterable[str]) -> str:
    return "|".join(re.escape(form) for form in forms)


def _standing(forms: str) -> str:
    """For Python, which looks round without taking: so that places may overlap."""
    return f"(?:{_JUST_BEFORE})(?=({forms})(?![A-Za-z0-9]))"


def _spans(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    return (match.span(1) for match in pattern.finditer(text))


def _forms(code: str, as_bytes: bool) -> set[str]:
    """A code as itself, as JSON and URLs write it, as they write that again, and as raw JSON's files are named."""
    written = {code, raw_json_stem(code)}
    for _ in range(2):
        written |= {form for text in written for form in _written(text)}
    return {form.encode("utf-8", "surrogatepass").decode("latin-1") for form in written} if as_bytes else written


def _written(text: str) -> Iterator[str]:
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    for escape, safe in ((quote, "/"), (quote, ""), (quote_plus, "")):
        form = escape(text, safe=safe, errors="surrogatepass")
        yield form
        yield re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), form)


class _Pile:
    """Texts of several files that are looked through at once: patterns cost more to prepare than to match."""

    def __init__(self, values: WholeValues):
        self._values = values
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
        if not pieces or not self._values.are_in(pa.concat_arrays([texts for _, texts in pieces])):
            return ()
        return {key for key, texts in pieces if self._values.are_in(texts)}


class Search:
    """What was searched, and which files (`holding`) have one of the `codes` in them. `others`: as of WholeValues."""

    def __init__(self, storage: WarehouseStorage, codes: Collection[str], others: Collection[str] = ()):
        self.storage = storage
        self.files = 0
        self.cells = 0
        self._found: set[str] = set()
        values = WholeValues(codes, others)
        in_bytes = WholeValues(codes, others, as_bytes=True)
        self._overlap = in_bytes.reach
        self._texts = {kind: _Pile(values) for kind in (pa.large_string(), pa.large_binary())}
        self._bytes = _Pile(in_bytes)

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

    def _take_bytes(self, key: str, data: bytes, before: str = "", after: str = "") -> None:
        """Each byte as the character of its number."""
        self._found.update(self._bytes.add(key, pa.array([before + data.decode("latin-1") + after])))

    def _take_file(self, key: str) -> None:
        """Chunks overlap, so that each code is whole in one of them, with all round it that decides whether it stands
        there. Where a chunk is cut, a letter takes the place of what is not seen: the other chunk sees it."""
        with self.storage.open(key) as stream:
            seen, chunk = b"", stream.read(_CHUNK)
            before = ""
            while True:
                following = stream.read(_CHUNK)
                self._take_bytes(key, seen + chunk, before, f"x{_CUT}" if following else "")
                if not following:
                    return
                seen, chunk = (seen + chunk)[-self._overlap :], following
                before = f"{_CUT}x"

    def _take_parquet(self, key: str) -> None:
        with self.storage.open(key) as stream, pq.ParquetFile(stream) as file:
            about = file.metadata
            columns = [about.schema.column(number).path for number in range(about.num_columns)]
            properties = [data for pair in (about.metadata or {}).items() for data in pair]
            self._take_bytes(key, b"\n".join(["\n".join(columns).encode(), *properties]))
            for name in sorted(set(file.schema_arrow.names)):
                for batch in file.iter_batches(_ROWS, columns=[name], use_threads=False):
                    for texts in _texts(pa.chunked_array([batch.column(0)])):
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

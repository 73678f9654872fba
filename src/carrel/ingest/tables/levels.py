"""One level of rows: all elements of one table in a batch, turned into Arrow columns key by key.

Work is per key, not per value: each key's values are collected for all rows by one comprehension and handed to Arrow
whole; only columns of mixed kinds are looked at value by value.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from carrel.ingest.tables import kinds
from carrel.ingest.tables.names import EMPTY_OBJECT, Field, Path, child_table, key_prefix, place_in_row

Keep = Callable[[str, Path, set[str]], str | None]
"""(table, path, kinds) -> the kind a column of mixed kinds keeps; None: it becomes what they join to."""

_ABSENT: dict[str, Any] = {}
"""Stands where a row has no object; told from a real {} by identity."""
_NONE = type(None)
_ELEMENT = "value"
"""The key that an element which is no object is put under."""
_ZERO = pa.scalar(0, pa.int64())
_WHOLE: dict[pa.DataType, tuple[str, ...]] = {
    pa.string(): (kinds.STRING,),
    pa.bool_(): (kinds.BOOL,),
    pa.null(): (),
}
"""What Arrow infers only when all values are of this kind."""
_FLOATS: dict[frozenset[type], tuple[str, ...]] = {
    frozenset((float,)): (kinds.FLOAT,),
    frozenset((float, _NONE)): (kinds.FLOAT,),
    frozenset((float, int)): (kinds.FLOAT, kinds.INT),
    frozenset((float, int, _NONE)): (kinds.FLOAT, kinds.INT),
}
"""Arrow makes floats of booleans among floats, so that floats are looked at."""
_GUESS = 64
_MANY = 100_000


class TooWide(Exception):
    """More keys in one table, or more tables, than anyone could query; `at`: the object with the most, which is used as
    a map. `keyword`: as in quarantine."""

    def __init__(self, at: Path, keyword: str = "too_many_keys"):
        super().__init__()
        self.at = at
        self.keyword = keyword


@dataclass(slots=True)
class Level:
    """Rows of `table` before their columns are known; the arrays are as long as `elements`."""

    table: str
    depth: int
    elements: list[Any]
    keys: pa.Array
    parents: pa.Array | None
    index: pa.Array
    files: pa.Array
    """Number of the file that each row comes from."""


@dataclass(slots=True)
class Cells:
    """One column of a segment."""

    field: Field
    array: pa.Array
    kind: str
    kinds: tuple[str, ...]


@dataclass(slots=True)
class Segment:
    """A level with its columns, and the levels of its arrays. `nulls`: list<string> as long as the level."""

    level: Level
    cells: list[Cells] = field(default_factory=list)
    children: list[Level] = field(default_factory=list)
    nulls: pa.Array | None = None

    @property
    def arrays(self) -> list[Path]:
        """Where its arrays stand."""
        return [each.field.path for each in self.cells if each.field.role == "len"]


@dataclass(frozen=True, slots=True)
class Rules:
    """How levels become columns. `exact_numbers`: integers and floats in one column are kept apart (policy freeze).
    `max_keys`: TooWide is raised beyond."""

    keep: Keep
    max_depth: int
    exact_numbers: bool = False
    max_keys: int | None = None


def segment_of(level: Level, rules: Rules) -> Segment:
    """The columns of a level."""
    return _Walk(level, rules).run()


class _Walk:
    def __init__(self, level: Level, rules: Rules):
        self.level = level
        self.rules = rules
        self.count = 0
        """Keys so far, all structs together."""
        self.widths: Counter[Path] = Counter()
        """Keys so far of each struct."""
        self.out = Segment(level)
        self.notes: list[tuple[str, list[int]]] = []
        """What goes into `_nulls`: (place, rows)."""

    def run(self) -> Segment:
        elements = self.level.elements
        types = set(map(type, elements))
        if types == {dict}:
            self._objects(elements, ())
        elif dict in types:
            self._objects(
                [each if type(each) is dict else {} if each is None else {_ELEMENT: each} for each in elements], ()
            )
        else:
            self._values(elements, (_ELEMENT,))
        if _NONE in types:
            self.notes.append((place_in_row(()), [row for row, each in enumerate(elements) if each is None]))
        self.out.nulls = _nulls(self.notes, len(elements))
        return self.out

    def _objects(self, objects: list[dict[str, Any]], at: Path) -> None:
        """Keys are guessed from the first objects; counting tells whether that missed a key or a null."""
        left = sum(map(len, objects))
        guessed = sorted(set().union(*objects[:_GUESS]))
        gaps = self._keys(objects, guessed, at)
        left -= _filled(gaps, objects)
        if left and len(objects) > _GUESS:
            others = self._keys(objects, sorted(set().union(*objects).difference(guessed)), at)
            left -= _filled(others, objects)
            gaps += others
        self._note_nulls(objects, gaps, left, at)

    def _keys(self, objects: list[dict[str, Any]], keys: list[str], at: Path) -> list[tuple[int, str]]:
        """(rows without a value, key) of each key."""
        self.count += len(keys)
        self.widths[at] += len(keys)
        if self.rules.max_keys and self.count > self.rules.max_keys:
            raise TooWide(max(self.widths, key=lambda path: (self.widths[path], path)))
        "".join(keys).encode()  # UnicodeEncodeError for keys that are no text
        count = len(objects)
        return [(count - self._values(list(map(dict.get, objects, repeat(key))), (*at, key)), key) for key in keys]

    def _note_nulls(self, objects: list[dict[str, Any]], gaps: list[tuple[int, str]], left: int, at: Path) -> None:
        """Find the explicit nulls, `left` in all; where most rows have no value, there most likely."""
        for _, key in sorted(gaps, reverse=True):
            if not left:
                break
            rows = [row for row, each in enumerate(objects) if each.get(key, 0) is None]
            left -= len(rows)
            if rows:
                self.notes.append((place_in_row((*at, key)), rows))

    def _values(self, values: list[Any], path: Path) -> int:
        """One key's values; how many are not null."""
        simple = self._simple(values)
        if simple:
            array, found = simple
            if found:
                self.out.cells.append(Cells(Field(path), array, kinds.column_kind(found[0]), found))
            return len(array) - array.null_count
        self._any(values, path)
        return len(values) - values.count(None)

    def _any(self, values: list[Any], path: Path) -> None:
        """Objects, arrays and scalars, each where it belongs."""
        types = set(map(type, values))
        if dict in types:
            self._structs(values, path)
        if list in types:
            self._arrays(values, path)
        if types - {dict, list, _NONE}:
            self._mixed([None if type(each) in (dict, list) else each for each in values], path)

    def _simple(self, values: list[Any]) -> tuple[pa.Array, tuple[str, ...]] | None:
        """The array and kinds of a column that Arrow can take whole; None when it cannot."""
        first = next((value for value in values if value is not None), None)
        if type(first) in (dict, list):
            return None
        try:
            array = pa.array(values)
        except UnicodeEncodeError:
            raise
        except (OverflowError, TypeError, pa.ArrowInvalid):
            return None
        if array.type == pa.float64():
            found = _floats(values, array)
        else:
            found = _integers(array) if array.type == pa.int64() else _WHOLE.get(array.type)
        return (array, found) if found is not None and not (self.rules.exact_numbers and len(found) > 1) else None

    def _structs(self, values: list[Any], path: Path) -> None:
        inner = [each if type(each) is dict else _ABSENT for each in values]
        empty = [row for row, each in enumerate(inner) if not each and each is not _ABSENT] if not all(inner) else []
        if empty:
            self.notes.append((place_in_row(path) + EMPTY_OBJECT, empty))
        self._objects(inner, path)

    def _arrays(self, values: list[Any], path: Path) -> None:
        lists = [each if type(each) is list else None for each in values]
        if self.level.depth >= self.rules.max_depth:
            self._put(
                Field(path, "json"), [None if each is None else kinds.json_text(each) for each in lists], kinds.STRING
            )
            return
        lengths = pa.array([None if each is None else len(each) for each in lists], pa.int64())
        self.out.cells.append(Cells(Field(path, "len"), lengths, kinds.INT, (kinds.INT,)))
        elements = list(chain.from_iterable(filter(None, lists)))
        if elements:
            self.out.children.append(self._child(elements, lengths, path))

    def _child(self, elements: list[Any], lengths: pa.Array, path: Path) -> Level:
        above = self.level
        parent, index = _spread(lengths, len(elements))
        parents = above.keys.take(parent)
        return Level(
            table=child_table(above.table, path),
            depth=above.depth + 1,
            elements=elements,
            keys=joined_keys(parents, index, key_prefix(path)),
            parents=parents,
            index=index,
            files=above.files.take(parent),
        )

    def _mixed(self, values: list[Any], path: Path) -> None:
        each_kind = [None if value is None else kinds.kind_of(value) for value in values]
        found = {kind for kind in each_kind if kind}
        kept = self.rules.keep(self.level.table, path, found)
        if kept is None:
            kind = kinds.column_kind(kinds.join_all(sorted(found)))
            cells = [None if value is None else kinds.cast(value, kind) for value in values]
            self._put(Field(path), cells, kind, found)
            return
        pairs = list(zip(values, each_kind, strict=True))
        here = [kinds.cast(value, kept) if kind and kinds.fits(kind, kept) else None for value, kind in pairs]
        self._put(Field(path), here, kept, found)
        if not all(kinds.fits(kind, kept) for kind in found):
            other = [kinds.json_text(value) if kind and not kinds.fits(kind, kept) else None for value, kind in pairs]
            self._put(Field(path, "variant"), other, kinds.STRING)

    def _put(self, place: Field, values: list[Any], kind: str, found: set[str] | None = None) -> None:
        array = pa.array(values, kinds.ARROW[kind])
        self.out.cells.append(Cells(place, array, kind, tuple(sorted(found or {kind}))))


def _integers(array: pa.Array) -> tuple[str, ...]:
    least, most = (each.as_py() for each in pc.min_max(array).values())
    if most is None or -kinds.EXACT <= least <= most <= kinds.EXACT:
        return (kinds.INT,)
    short = pc.and_(pc.less_equal(array, kinds.EXACT), pc.greater_equal(array, -kinds.EXACT))
    return (kinds.INT, kinds.LONG) if pc.any(short).as_py() else (kinds.LONG,)


def _floats(values: list[Any], array: pa.Array) -> tuple[str, ...] | None:
    """The kinds of a column that Arrow made floats of; None when there are booleans among them."""
    if list(map(type, values)).count(float) == len(array) - array.null_count:
        return (kinds.FLOAT,)
    return _FLOATS.get(frozenset(map(type, values)))


def _filled(gaps: list[tuple[int, str]], objects: list[dict[str, Any]]) -> int:
    return sum(len(objects) - gap for gap, _ in gaps)


def _spread(lengths: pa.Array, total: int) -> tuple[pa.Array, pa.Array]:
    """For each element of lists of these lengths: its list's number, and its place in the list."""
    ends = pc.cumulative_sum(pc.coalesce(lengths, _ZERO))
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), ends])
    parent = pc.list_parent_indices(pa.LargeListArray.from_arrays(offsets, pa.nulls(total)))
    return parent, pc.subtract(pa.arange(0, total), offsets.take(parent))


def joined_keys(parents: pa.Array, index: pa.Array, prefix: str = "") -> pa.Array:
    """`<parent>/<prefix><index>`"""
    numbers = pc.cast(index, pa.string())
    tail = pc.binary_join_element_wise(prefix, numbers, "") if prefix else numbers
    return pc.binary_join_element_wise(parents, tail, "/")


def numbered_keys(parent: str, first: int, count: int) -> pa.Array:
    """`<parent>/<number>` for so many numbers."""
    return pc.binary_join_element_wise(pa.scalar(parent), _numerals(first, count), "/")


_known_numerals = pa.array([], pa.string())


def _numerals(first: int, count: int) -> pa.Array:
    """Every sensor file needs the same ones."""
    global _known_numerals
    if first + count > _MANY:
        return pc.cast(pa.arange(first, first + count), pa.string())
    if first + count > len(_known_numerals):
        _known_numerals = pc.cast(pa.arange(0, min(2 * (first + count), _MANY)), pa.string())
    return _known_numerals.slice(first, count)


def _nulls(notes: list[tuple[str, list[int]]], count: int) -> pa.Array:
    if not notes:
        return pa.nulls(count, pa.list_(pa.string()))
    places: list[list[str] | None] = [None] * count
    for place, row in _sorted_notes(notes):
        mine = places[row]
        if mine is None:
            places[row] = [place]
        else:
            mine.append(place)
    return pa.array(places, pa.list_(pa.string()))


def _sorted_notes(notes: list[tuple[str, list[int]]]) -> Iterator[tuple[str, int]]:
    for place, rows in sorted(notes):
        for row in rows:
            yield place, row

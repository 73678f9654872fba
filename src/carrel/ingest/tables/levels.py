"""One level of rows: all elements of one table in a batch, turned into Arrow columns key by key.

Work is per key, not per value: each key's values are collected for all rows by one comprehension and handed to Arrow
whole; only columns of mixed kinds are looked at value by value.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from carrel.ingest.tables import kinds
from carrel.ingest.tables.names import EMPTY_OBJECT, Field, Path, child_table, key_prefix, place_in_row

FixedKind = Callable[[str, Path, set[str]], str | None]
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


@dataclass(slots=True, kw_only=True)
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
        return [cells.field.path for cells in self.cells if cells.field.role == "len"]


@dataclass(frozen=True, slots=True)
class LevelRules:
    """How levels become columns. `exact_numbers`: integers and floats in one column are kept apart (policy freeze).
    `max_keys`: TooWide is raised beyond."""

    fixed_kind: FixedKind
    max_depth: int
    exact_numbers: bool = False
    max_keys: int | None = None


def segment_of(level: Level, rules: LevelRules) -> Segment:
    """The columns of a level."""
    return _Walk(level, rules).run()


class _Walk:
    def __init__(self, level: Level, rules: LevelRules):
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
            wrapped = [
                element if type(element) is dict else {} if element is None else {_ELEMENT: element}
                for element in elements
            ]
            self._objects(wrapped, ())
        else:
            self._values(elements, (_ELEMENT,))
        if _NONE in types:
            self.notes.append((place_in_row(()), [row for row, element in enumerate(elements) if element is None]))
        self.out.nulls = _nulls(self.notes, len(elements))
        return self.out

    def _objects(self, objects: list[dict[str, Any]], at: Path) -> None:
        """Keys are guessed from the first objects; counting tells whether that missed a key or a null."""
        members = sum(map(len, objects))
        guessed = sorted(set().union(*objects[:_GUESS]))
        gaps = self._keys(objects, guessed, at)
        nulls = members - _values_in(gaps, objects)
        if nulls and len(objects) > _GUESS:
            gaps += self._keys(objects, sorted(set().union(*objects).difference(guessed)), at)
            nulls = members - _values_in(gaps, objects)
        self._note_nulls(objects, gaps, nulls, at)

    def _keys(self, objects: list[dict[str, Any]], keys: list[str], at: Path) -> list[tuple[int, str]]:
        """Take each key's values: (rows without a value, key)."""
        self.count += len(keys)
        self.widths[at] += len(keys)
        if self.rules.max_keys and self.count > self.rules.max_keys:
            raise TooWide(max(self.widths, key=lambda path: (self.widths[path], path)))
        "".join(keys).encode()  # UnicodeEncodeError for keys that are no text
        count = len(objects)
        return [(count - self._values(list(map(dict.get, objects, repeat(key))), (*at, key)), key) for key in keys]

    def _note_nulls(self, objects: list[dict[str, Any]], gaps: list[tuple[int, str]], nulls: int, at: Path) -> None:
        """Find the explicit nulls, `nulls` in all; where most rows have no value, there most likely."""
        for _, key in sorted(gaps, reverse=True):
            if not nulls:
                break
            rows = [row for row, members in enumerate(objects) if members.get(key, 0) is None]
            nulls -= len(rows)
            if rows:
                self.notes.append((place_in_row((*at, key)), rows))

    def _values(self, values: list[Any], path: Path) -> int:
        """Take one key's values; how many are not null."""
        simple = self._simple(values)
        if simple:
            array, present = simple
            if present:
                self.out.cells.append(Cells(Field(path), array, kinds.column_kind(present[0]), present))
            return len(array) - array.null_count
        # Objects, arrays and scalars, each where it belongs.
        types = set(map(type, values))
        if dict in types:
            self._structs(values, path)
        if list in types:
            self._arrays(values, path)
        if types - {dict, list, _NONE}:
            self._mixed([None if type(value) in (dict, list) else value for value in values], path)
        return len(values) - values.count(None)

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
            is_pure = list(map(type, values)).count(float) == len(array) - array.null_count
            present = (kinds.FLOAT,) if is_pure else _FLOATS.get(frozenset(map(type, values)))
        else:
            present = _integer_kinds(array) if array.type == pa.int64() else _WHOLE.get(array.type)
        return (array, present) if present is not None and not (self.rules.exact_numbers and len(present) > 1) else None

    def _structs(self, values: list[Any], path: Path) -> None:
        objects = [value if type(value) is dict else _ABSENT for value in values]
        if not all(objects):
            empty = [row for row, members in enumerate(objects) if not members and members is not _ABSENT]
            if empty:
                self.notes.append((place_in_row(path) + EMPTY_OBJECT, empty))
        self._objects(objects, path)

    def _arrays(self, values: list[Any], path: Path) -> None:
        lists = [value if type(value) is list else None for value in values]
        if self.level.depth >= self.rules.max_depth:
            texts = [None if elements is None else kinds.json_text(elements) for elements in lists]
            self._put(Field(path, "json"), texts, kinds.STRING)
            return
        lengths = pa.array([None if elements is None else len(elements) for elements in lists], pa.int64())
        self.out.cells.append(Cells(Field(path, "len"), lengths, kinds.INT, (kinds.INT,)))
        below = list(chain.from_iterable(filter(None, lists)))
        if below:
            self.out.children.append(self._child(below, lengths, path))

    def _child(self, elements: list[Any], lengths: pa.Array, path: Path) -> Level:
        """The level of the elements of arrays of these lengths."""
        above, total = self.level, len(elements)
        ends = pc.cumulative_sum(pc.coalesce(lengths, _ZERO))
        offsets = pa.concat_arrays([pa.array([0], pa.int64()), ends])
        parent = pc.list_parent_indices(pa.LargeListArray.from_arrays(offsets, pa.nulls(total)))
        index = pc.subtract(pa.arange(0, total), offsets.take(parent))
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
        kind_of_each = [None if value is None else kinds.kind_of(value) for value in values]
        present = {kind for kind in kind_of_each if kind}
        fixed = self.rules.fixed_kind(self.level.table, path, present)
        if fixed is None:
            kind = kinds.column_kind(kinds.join_all(sorted(present)))
            cells = [None if value is None else kinds.cast(value, kind) for value in values]
            self._put(Field(path), cells, kind, present)
            return
        pairs = list(zip(values, kind_of_each, strict=True))
        fitting = [kinds.cast(value, fixed) if kind and kinds.fits(kind, fixed) else None for value, kind in pairs]
        self._put(Field(path), fitting, fixed, present)
        if not all(kinds.fits(kind, fixed) for kind in present):
            texts = [kinds.json_text(value) if kind and not kinds.fits(kind, fixed) else None for value, kind in pairs]
            self._put(Field(path, "variant"), texts, kinds.STRING)

    def _put(self, field: Field, values: list[Any], kind: str, present: set[str] | None = None) -> None:
        array = pa.array(values, kinds.ARROW[kind])
        self.out.cells.append(Cells(field, array, kind, tuple(sorted(present or {kind}))))


def _integer_kinds(array: pa.Array) -> tuple[str, ...]:
    least, most = (scalar.as_py() for scalar in pc.min_max(array).values())
    if most is None or -kinds.EXACT <= least <= most <= kinds.EXACT:
        return (kinds.INT,)
    short = pc.and_(pc.less_equal(array, kinds.EXACT), pc.greater_equal(array, -kinds.EXACT))
    return (kinds.INT, kinds.LONG) if pc.any(short).as_py() else (kinds.LONG,)


def _values_in(gaps: list[tuple[int, str]], objects: list[dict[str, Any]]) -> int:
    """How many values there are of keys that so many rows have none of."""
    return sum(len(objects) - gap for gap, _ in gaps)


def joined_keys(parents: pa.Array, index: pa.Array, prefix: str = "") -> pa.Array:
    """The keys of child rows: `<parent>/<prefix><index>`."""
    numbers = pc.cast(index, pa.string())
    tail = pc.binary_join_element_wise(prefix, numbers, "") if prefix else numbers
    return pc.binary_join_element_wise(parents, tail, "/")


def numbered_keys(parent: str, first: int, count: int) -> pa.Array:
    """The keys of the elements of a top-level array: `<parent>/<number>` for so many numbers."""
    return pc.binary_join_element_wise(pa.scalar(parent), _numerals(first, count), "/")


_cached_numerals = pa.array([], pa.string())


def _numerals(first: int, count: int) -> pa.Array:
    """So many numbers as text; they are remembered, because every sensor file needs the same ones."""
    global _cached_numerals
    if first + count > _MANY:
        return pc.cast(pa.arange(first, first + count), pa.string())
    if first + count > len(_cached_numerals):
        _cached_numerals = pc.cast(pa.arange(0, min(2 * (first + count), _MANY)), pa.string())
    return _cached_numerals.slice(first, count)


def _nulls(notes: list[tuple[str, list[int]]], count: int) -> pa.Array:
    """The column `_nulls` of so many rows."""
    if not notes:
        return pa.nulls(count, pa.list_(pa.string()))
    places: list[list[str] | None] = [None] * count
    for pointer, rows in sorted(notes):
        for row in rows:
            places_in_row = places[row]
            if places_in_row is None:
                places[row] = [pointer]
            else:
                places_in_row.append(pointer)
    return pa.array(places, pa.list_(pa.string()))

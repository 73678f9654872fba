"""Names of tables and columns, as functions of JSON paths: never of the order in which paths turned up."""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from carrel.ingest.json_pointers import pointer_of
from carrel.warehouse.names import DIGEST_DIGITS

Path = tuple[str, ...]
"""Keys from the row's element down to a value."""

BEFORE = (
    "_row_key", "_parent_key", "_index", "recordid", "assessmentid", "assessmentrevision", "healthcode", "uploadedon",
    "exportedon", "year", "month", "day",
)  # fmt: skip
AFTER = ("_nulls", "_source_file", "_archive_uri", "_archive_etag", "_schema_id", "_run_id")
RESERVED = frozenset(BEFORE + AFTER)
"""Reserved columns stand before and after the data columns; their names are never given away."""

MAX_COLUMN_NAME = 100
MAX_TABLE_NAME = 200
_ODD = re.compile(r"[^A-Za-z0-9_]")
_PLAIN = re.compile(r"[A-Za-z0-9]+(?:_[A-Za-z0-9]+)*")


class Field(NamedTuple):
    """What a column is about. `role`: "" a value, "len" an array's length, "json" an array too deep for a table,
    "variant" values of another kind than the column's."""

    path: Path
    role: str = ""

    @property
    def parts(self) -> Path:
        return (*self.path, self.role) if self.role else self.path

    @property
    def text(self) -> str:
        """Its path and role as one text, which no other field has, whatever characters keys are made of."""
        keys = "\0".join(part.replace("\1", "\1\1").replace("\0", "\1\2") for part in self.path)
        return f"{keys}\1\3{self.role}" if self.role else keys

    def digest(self, digits: int = 6) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()[:digits]


def names_of(
    fields: Iterable[Field], declared: Collection[Path], before: Mapping[Field, str] | None = None
) -> dict[Field, str]:
    """The column name of each field. `before`: the names in the catalog.

    Of fields whose plain names are equal when case is ignored, the declared one gets it, else the one that has it in
    the catalog (a newcomer never takes the name that people ask for), else the one that needed no sanitising, else the
    last in ASCII order (lower case before upper); the others, and those that would take a reserved name, get a digest.
    """
    had = before or {}
    groups: dict[str, list[Field]] = {}
    for field in fields:
        groups.setdefault(plain_name(field).casefold(), []).append(field)
    names: dict[Field, str] = {}
    losing: list[Field] = []
    for folded, group in groups.items():
        group.sort(key=lambda field: _rank(field, declared, had))
        first = 0 if folded in RESERVED else 1
        names |= {field: plain_name(field) for field in group[:first]}
        losing += group[first:]
    return names | _names_with_digest(losing, {name.casefold() for name in names.values()})


def _rank(
    field: Field, declared: Collection[Path], had: Mapping[Field, str]
) -> tuple[bool, bool, bool, list[int], bool, str]:
    """What decides who gets the plain name: the least."""
    plain = plain_name(field)
    is_declared = not field.role and field.path in declared
    backwards = [-ord(letter) for letter in "\0".join(field.parts)]
    return (
        not is_declared,
        had.get(field) != plain,
        plain != "_".join(field.parts),
        backwards,
        not field.role,
        field.text,
    )


def _names_with_digest(fields: list[Field], taken: set[str]) -> dict[Field, str]:
    """Names with six digits of the field's digest; more where a name that someone chose to clash, clashes."""
    for digits in DIGEST_DIGITS:
        names = {field: f"{plain_name(field)}_{field.digest(digits)}" for field in fields}
        counts = Counter(name.casefold() for name in names.values())
        if not taken & counts.keys() and all(count == 1 for count in counts.values()):
            break
    return names


def plain_name(field: Field) -> str:
    """The field's parts joined by `_`, sanitised; over 100 characters cut, with a digest."""
    return _shorten("_".join(sanitise(part) for part in field.parts), field, MAX_COLUMN_NAME)


def child_table(table: str, path: Path) -> str:
    """The table of the array at `path` in the rows of `table`."""
    name = f"{table}__{plain_name(Field(path))}"
    return _shorten(name, Field((name,)), MAX_TABLE_NAME)


def key_prefix(path: Path) -> str:
    """What stands before the index in a child row's key: nothing for a plain key.

    Arrays at `a.b` and `a_b` share a table; their rows' keys differ by this.
    """
    return "" if len(path) == 1 and _PLAIN.fullmatch(path[0]) else f"{Field(path).digest()}."


def widest(paths: Iterable[Path]) -> Path:
    """Where the object stands that has the most different keys in these paths: it is used as a map, most likely."""
    keys: dict[Path, set[str]] = {(): set()}
    for path in paths:
        for depth, key in enumerate(path):
            keys.setdefault(path[:depth], set()).add(key)
    return max(keys, key=lambda path: (len(keys[path]), path))


EMPTY_OBJECT = "{}"
"""In `_nulls`, behind the place of an object without keys."""


def place_in_row(path: Path) -> str:
    """What `_nulls` says of this path: a JSON pointer from the row's element down, with `~2` for a key's `{}`, so that
    no key looks like the place of an empty object."""
    return pointer_of(path).replace(EMPTY_OBJECT, "~2")


def sanitise(part: str) -> str:
    """The key, legible in SQL without quotes; the empty key too."""
    return _ODD.sub("_", part) or "_"


def _shorten(name: str, field: Field, limit: int) -> str:
    return name if len(name) <= limit else f"{name[:limit]}_{field.digest()}"

"""The ground truth: JSON to rows by the slow and obvious way, for tests to hold the real tables against.

Written from the description of the tables (docs/reference/ingest-tables.md) and sharing no code with
`carrel.ingest.tables`, so that the two can disagree.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

Path = tuple[str, ...]
Row = dict[str, Any]

RESERVED = (
    "_row_key", "_parent_key", "_index", "recordid", "assessmentid", "assessmentrevision", "healthcode", "uploadedon",
    "exportedon", "year", "month", "day", "_nulls", "_source_file", "_archive_uri", "_archive_etag", "_schema_id",
    "_run_id",
)  # fmt: skip
MAX_TABLE_DEPTH = 8
MAX_NAME = 100
MAX_TABLE_NAME = 200


class Derived(str):
    """The last part of a path that Carrel made (an array's length, its JSON): never equal to a key of the file."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Derived) and str.__eq__(self, other)

    def __hash__(self) -> int:
        return hash((Derived, str(self)))


@dataclass(slots=True)
class RawTable:
    """Rows by path (tuple of keys) before names and types are settled. `declared`: path -> type of the schema."""

    rows: list[tuple[Row, dict[Path, Any]]] = field(default_factory=list)
    """(reserved columns, data by path)"""
    declared: dict[Path, str] = field(default_factory=dict)
    named: dict[Path, str] = field(default_factory=dict)
    """Names that the run before left in the catalog."""


class Tables:
    """All tables of all datasets, grown file by file."""

    def __init__(self, declared: Mapping[str, Mapping[Path, str]]):
        self.declared = declared
        self.raw: dict[str, RawTable] = {}

    def add(self, dataset: str, value: Any, common: Row) -> None:
        """Take one file's JSON; `common` are the record's columns and lineage."""
        key = hashlib.sha256(f"{common['recordid']}\0{common['_source_file']}".encode()).digest()[:16].hex()
        if isinstance(value, list):
            for index, element in enumerate(value):
                self._element(dataset, element, {**common, "_row_key": f"{key}/{index}", "_index": index}, 1)
        else:
            self._element(dataset, value, {**common, "_row_key": key, "_index": None}, 1)

    def drop(self, record_id: str) -> None:
        """A record is exported again, or withdrawn: its rows go from every table."""
        for table in self.raw.values():
            table.rows = [row for row in table.rows if row[0]["recordid"] != record_id]

    def _element(self, table: str, element: Any, reserved: Row, depth: int) -> None:
        data: dict[Path, Any] = {}
        nulls: list[str] = []
        mine = self.raw.setdefault(table, RawTable(declared=dict(self.declared.get(table, {}))))
        if element is None:
            element = {}
            nulls.append("")
        elif not isinstance(element, dict):
            element = {"value": element}
        mine.rows.append((reserved, data))
        self._object(table, element, (), data, nulls, reserved, depth)
        reserved["_nulls"] = sorted(nulls) or None

    def _object(
        self,
        table: str,
        value: Mapping[str, Any],
        at: Path,
        data: dict[Path, Any],
        nulls: list[str],
        reserved: Row,
        depth: int,
    ) -> None:
        for key, member in value.items():
            path = (*at, key)
            if member is None:
                nulls.append(_pointer(path))
            elif isinstance(member, dict):
                if not member:
                    nulls.append(_pointer(path) + "{}")
                self._object(table, member, path, data, nulls, reserved, depth)
            elif isinstance(member, list):
                self._array(table, member, path, data, reserved, depth)
            else:
                data[path] = member

    def _array(
        self, table: str, value: list[Any], path: Path, data: dict[Path, Any], reserved: Row, depth: int
    ) -> None:
        if depth >= MAX_TABLE_DEPTH:
            data[(*path, Derived("json"))] = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            return
        data[(*path, Derived("len"))] = len(value)
        child = child_table(table, path)
        for index, element in enumerate(value):
            inherited = {
                name: reserved[name] for name in reserved if name not in ("_nulls", "_index", "_row_key", "_parent_key")
            }
            key = f"{reserved['_row_key']}/{_place(path)}{index}"
            self._element(
                child,
                element,
                {**inherited, "_row_key": key, "_parent_key": reserved["_row_key"], "_index": index},
                depth + 1,
            )

    def finish(self) -> dict[str, dict[str, Any]]:
        """name -> {"columns": {column: type}, "rows": [...]}, rows sorted by key, data columns by name; a run ends
        here, and its names are remembered."""
        return {name: _finish(table) for name, table in sorted(self.raw.items()) if table.rows}


def child_table(table: str, path: Path) -> str:
    name = f"{table}__{plain_name(path)}"
    return name if len(name) <= MAX_TABLE_NAME else f"{name[:MAX_TABLE_NAME]}_{_digest((name,))}"


def _pointer(path: Path) -> str:
    escaped = [part.replace("~", "~0").replace("/", "~1").replace("{}", "~2") for part in path]
    return "".join(f"/{part}" for part in escaped)


def _place(path: Path) -> str:
    """Arrays at `a.b` and `a_b` share a table: the keys of their rows must not."""
    plain = len(path) == 1 and re.fullmatch(r"[A-Za-z0-9]+(_[A-Za-z0-9]+)*", path[0])
    return "" if plain else f"{_digest(path)}."


def sanitised(part: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", part) or "_"


def plain_name(path: Path) -> str:
    name = "_".join(sanitised(part) for part in path)
    if len(name) > MAX_NAME:
        name = f"{name[:MAX_NAME]}_{_digest(path)}"
    return name


def _digest(path: Path) -> str:
    """Of the keys, NUL between them; what we made ourselves is apart from a key of the same name."""
    text = ""
    for position, part in enumerate(path):
        if isinstance(part, Derived):
            text += f"\1\3{part}"
            continue
        escaped = "".join({"\0": "\1\2", "\1": "\1\1"}.get(letter, letter) for letter in part)
        text += f"\0{escaped}" if position else escaped
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def names_of(
    paths: Iterator[Path] | list[Path], declared: Mapping[Path, str], before: Mapping[Path, str]
) -> dict[Path, str]:
    """The column of each path: a function of the set, not of the order of arrival, but for names from runs before."""
    groups: dict[str, list[Path]] = {}
    for path in paths:
        groups.setdefault(plain_name(path).casefold(), []).append(path)
    named: dict[Path, str] = {}
    for folded, group in groups.items():
        group.sort(key=lambda path: _rank(path, declared, before))
        is_reserved = folded in {name.casefold() for name in RESERVED}
        for position, path in enumerate(group):
            alone = position == 0 and not is_reserved
            named[path] = plain_name(path) if alone else f"{plain_name(path)}_{_digest(path)}"
    return named


def _rank(
    path: Path, declared: Mapping[Path, str], before: Mapping[Path, str]
) -> tuple[bool, bool, bool, list[int], bool]:
    """Of names that need no replacing, the last in ASCII order is first: lower case before upper."""
    is_derived = isinstance(path[-1], Derived)
    backwards = [-ord(letter) for letter in "\0".join(path)]
    plain = plain_name(path)
    return path not in declared, before.get(path) != plain, plain != "_".join(path), backwards, not is_derived


def _finish(table: RawTable) -> dict[str, Any]:
    kinds: dict[Path, str] = {}
    for _, data in table.rows:
        for path, value in data.items():
            kind = kind_of(value)
            kinds[path] = join(kinds.get(path, table.declared.get(path, kind)), kind)
    named = table.named = names_of(list(kinds), table.declared, table.named)
    kinds = {path: "int64" if kind == "long" else kind for path, kind in kinds.items()}
    columns = {named[path]: kinds[path] for path in sorted(kinds, key=lambda path: named[path])}
    rows = [
        {**reserved, **{named[path]: cast(value, kinds[path]) for path, value in data.items()}}
        for reserved, data in table.rows
    ]
    return {"columns": columns, "rows": sorted(rows, key=lambda row: row["_row_key"])}


def kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        if abs(value) <= 2**53:
            return "int64"
        if -(2**63) <= value < 2**63:
            return "long"
        return "decimal" if len(str(abs(value))) <= 38 else "string"
    return "float64" if isinstance(value, float) else "string"


_JOINS = {
    frozenset(("int64", "long")): "long",
    frozenset(("int64", "decimal")): "decimal",
    frozenset(("long", "decimal")): "decimal",
    frozenset(("int64", "float64")): "float64",
}


def join(one: str, other: str) -> str:
    return one if one == other else _JOINS.get(frozenset((one, other)), "string")


def cast(value: Any, kind: str) -> Any:
    """The cell as it must come out of the table."""
    if kind == "string":
        if isinstance(value, str):
            return value
        # Equal numbers have equal texts (1 and 1.0), as a column of floats cannot tell them apart.
        is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**63
        return json.dumps(int(value) if is_whole else value)
    if kind == "float64":
        return float(value)
    return Decimal(value) if kind == "decimal" else value


def timestamp(when: datetime | None) -> str | None:
    """Times in the truth's JSON: ISO 8601 in UTC with microseconds."""
    return when.isoformat(timespec="microseconds") if when else None

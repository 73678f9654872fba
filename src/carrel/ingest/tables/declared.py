"""What a JSON Schema (draft-07) says about types: path -> kind per table.

Only what is sure counts: a key is `number` when every schema that speaks of it says so. Kinds that differ between
branches (`anyOf`, `oneOf`, several app versions) are joined when numbers, and otherwise declare nothing, so that the
data decides.
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from carrel.ingest.tables import kinds
from carrel.ingest.tables.names import Path, child_table
from carrel.ingest.tables.schema import Declared
from carrel.ingest.uris import resolve

_KINDS = {
    "string": kinds.STRING,
    "integer": kinds.INT,
    "number": kinds.FLOAT,
    "boolean": kinds.BOOL,
}
_BRANCHES = ("allOf", "anyOf", "oneOf")
_CHOICES = ("then", "else")
_MAX_TABLE_DEPTH = 8
_MAX_VISITS = 20_000
"""Subschemas looked at, so that no schema takes for ever; what lies beyond is typed by what it holds."""


def declared_kinds(dataset: str, schema: Any, documents: Mapping[str, Any] | None = None) -> Declared:
    """Kinds that `schema` declares for the tables of `dataset`. `$ref`s are followed within the document and into
    `documents` (by `$id`, relative ones resolved); what cannot be resolved declares nothing."""
    walk = _Walk(documents or {})
    walk.rows(dataset, _Place(schema, schema, _base(schema)), 1)
    return walk.settled()


def merge_declared(*declarations: Declared) -> Declared:
    """Several declarations of one dataset version (schemas of several app versions) as one; order does not matter."""
    found: dict[str, dict[Path, set[str]]] = {}
    for declaration in declarations:
        for table, paths in declaration.items():
            for path, kind in paths.items():
                found.setdefault(table, {}).setdefault(path, set()).add(kind)
    return _agreed(found)


def _agreed(found: Mapping[str, Mapping[Path, set[str]]]) -> dict[str, dict[Path, str]]:
    settled = {
        table: {path: kind for path, each in sorted(paths.items()) if (kind := _agreed_kind(each))}
        for table, paths in sorted(found.items())
    }
    return {table: paths for table, paths in settled.items() if paths}


def _agreed_kind(found: set[str]) -> str | None:
    if len(found) == 1:
        return next(iter(found))
    return kinds.FLOAT if found == {kinds.INT, kinds.FLOAT} else None


class _Place:
    """A subschema with the document it stands in and the base that its relative references start from."""

    def __init__(self, schema: Any, document: Any, base: str):
        self.schema = schema if isinstance(schema, Mapping) else {}
        self.document = document
        self.base = base

    def at(self, schema: Any) -> "_Place":
        """A part of it; one that names itself anew is a document of its own."""
        name = schema.get("$id") if isinstance(schema, Mapping) else None
        if isinstance(name, str) and not name.startswith("#"):
            return _Place(schema, schema, resolve(self.base, name))
        return _Place(schema, self.document, self.base)


def _base(document: Any) -> str:
    return str(document.get("$id", "")) if isinstance(document, Mapping) else ""


class _Walk:
    def __init__(self, documents: Mapping[str, Any]):
        self.documents = {key.partition("#")[0]: document for key, document in documents.items()}
        self.found: dict[str, dict[Path, set[str]]] = {}
        self.ambiguous: set[tuple[str, Path]] = set()
        self.above: list[int] = []
        """Identities of the subschemas around the present one: a recursive schema is left where it begins anew."""
        self.visits = 0

    def settled(self) -> dict[str, dict[Path, str]]:
        for table, path in self.ambiguous:
            self.found.get(table, {}).pop(path, None)
        return _agreed(self.found)

    def rows(self, table: str, place: _Place, depth: int) -> None:
        """What fills `table`: at the top an object, or an array of rows; further down the array's elements."""
        for each in self._meanings(place):
            if depth == 1 and ("items" in each.schema or each.schema.get("type") == "array"):
                self._elements(table, each, depth)
            else:
                self._value(table, (), each, depth)

    def _elements(self, table: str, array: _Place, depth: int) -> None:
        items = array.schema.get("items")
        for item in items if isinstance(items, list) else [items]:
            for each in self._meanings(array.at(item)):
                self._value(table, (), each, depth)

    def _value(self, table: str, path: Path, place: _Place, depth: int) -> None:
        """One meaning of what stands at `path`; `value` where a row is no object."""
        self.visits += 1
        if id(place.schema) in self.above or self.visits > _MAX_VISITS:
            return
        self.above.append(id(place.schema))
        self._declared_at(table, path, place, depth)
        self.above.pop()

    def _declared_at(self, table: str, path: Path, place: _Place, depth: int) -> None:
        types = _types(place.schema)
        scalars = {_KINDS[each] for each in types if each in _KINDS}
        if scalars:
            self._declare(table, path or ("value",), scalars)
        if isinstance(place.schema.get("properties"), Mapping):
            self._properties(table, path, place, depth)
        if "items" in place.schema and depth < _MAX_TABLE_DEPTH:
            self._elements(child_table(table, path or ("value",)), place, depth + 1)

    def _properties(self, table: str, path: Path, place: _Place, depth: int) -> None:
        for key, schema in place.schema["properties"].items():
            for each in self._meanings(place.at(schema)):
                self._value(table, (*path, key), each, depth)

    def _declare(self, table: str, path: Path, scalars: set[str]) -> None:
        if _agreed_kind(scalars) is None:
            self.ambiguous.add((table, path))
        self.found.setdefault(table, {}).setdefault(path, set()).update(scalars)

    def _meanings(self, place: _Place, seen: frozenset[tuple[str, str]] = frozenset()) -> Iterator[_Place]:
        """The subschema itself, what it refers to, and its branches."""
        reference = place.schema.get("$ref")
        if isinstance(reference, str):
            target = self._target(place, reference)
            if target and (place.base, reference) not in seen:
                yield from self._meanings(target, seen | {(place.base, reference)})
            return
        yield place
        branches = [branch for key in _BRANCHES for branch in _listed(place.schema.get(key))]
        branches += [place.schema[key] for key in _CHOICES if key in place.schema]
        for branch in branches:
            yield from self._meanings(place.at(branch), seen)

    def _target(self, place: _Place, reference: str) -> _Place | None:
        url, _, fragment = resolve(place.base, reference).partition("#")
        document = place.document if url == place.base.partition("#")[0] else self.documents.get(url)
        if document is None:
            return None
        base = place.base if document is place.document else _base(document) or url
        found = _pointed(document, fragment)
        return None if found is None else _Place(found, document, base)


def _types(schema: Mapping[str, Any]) -> set[str]:
    """Of `type`; else of `const` or `enum`."""
    said = schema.get("type")
    if said is not None:
        return {each for each in (said if isinstance(said, list) else [said]) if isinstance(each, str)}
    values = [schema["const"]] if "const" in schema else _listed(schema.get("enum"))
    return {_type_of(value) for value in values}


def _type_of(value: Any) -> str:
    names = {kinds.BOOL: "boolean", kinds.FLOAT: "number", kinds.STRING: "string"}
    names |= dict.fromkeys((kinds.INT, kinds.LONG), "integer")
    return "other" if value is None or isinstance(value, (dict, list)) else names.get(kinds.kind_of(value), "other")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _pointed(document: Any, fragment: str) -> Any:
    """By JSON pointer, or by a name that some definition gives itself (`"$id": "#Name"`)."""
    if fragment and not fragment.startswith("/"):
        return _named(document, f"#{fragment}")
    found = document
    for part in fragment.split("/")[1:]:
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, Mapping) else _indexed(found, key)
    return found


def _indexed(found: Any, key: str) -> Any:
    return found[int(key)] if isinstance(found, list) and key.isdigit() and int(key) < len(found) else None


def _named(document: Any, name: str) -> Any:
    definitions = document.get("definitions") if isinstance(document, Mapping) else None
    each = definitions.values() if isinstance(definitions, Mapping) else ()
    return next((it for it in each if isinstance(it, Mapping) and it.get("$id") == name), None)

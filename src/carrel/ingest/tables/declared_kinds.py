"""What a JSON Schema (draft-07) says about types: path -> kind per table.

Only what is sure counts: a key is `number` when every schema that speaks of it says so. Kinds that differ between
branches (`anyOf`, `oneOf`, several app versions) are joined when numbers, and otherwise declare nothing, so that the
data decides.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from carrel.ingest.json_pointers import follow, parts_of
from carrel.ingest.tables import kinds
from carrel.ingest.tables.names import Path, child_table
from carrel.ingest.tables.schema import Declared
from carrel.ingest.uris import fragment_of, plain_uri, resolve

_KINDS = {
    "string": kinds.STRING,
    "integer": kinds.INT,
    "number": kinds.FLOAT,
    "boolean": kinds.BOOL,
}
_TYPES = {
    kinds.BOOL: "boolean",
    kinds.INT: "integer",
    kinds.LONG: "integer",
    kinds.FLOAT: "number",
    kinds.STRING: "string",
}
"""kind of a value -> the type of JSON Schema; a number beyond 64 bits has none here."""
_BRANCHES = ("allOf", "anyOf", "oneOf")
_CHOICES = ("then", "else")
_MAX_TABLE_DEPTH = 8
_MAX_VISITS = 20_000
"""Subschemas looked at, so that no schema takes for ever; what lies beyond is typed by what it holds."""


def declared_kinds(dataset: str, schema: Any, documents: Mapping[str, Any] | None = None) -> Declared:
    """Kinds that `schema` declares for the tables of `dataset`. `$ref`s are followed within the document and into
    `documents` (by `$id`, relative ones resolved); what cannot be resolved declares nothing."""
    walk = _Walk(documents or {})
    walk.rows(dataset, _Subschema(schema, schema, _base(schema)), 1)
    return walk.agreed()


def merge_declared(*declarations: Declared) -> Declared:
    """Several declarations of one dataset version (schemas of several app versions) as one; order does not matter."""
    declared: dict[str, dict[Path, set[str]]] = {}
    for declaration in declarations:
        for table, paths in declaration.items():
            for path, kind in paths.items():
                declared.setdefault(table, {}).setdefault(path, set()).add(kind)
    return _agreed(declared)


def _agreed(declared: Mapping[str, Mapping[Path, set[str]]]) -> dict[str, dict[Path, str]]:
    """What is declared without contradiction."""
    agreed = {
        table: {path: kind for path, declared_here in sorted(paths.items()) if (kind := _agreed_kind(declared_here))}
        for table, paths in sorted(declared.items())
    }
    return {table: paths for table, paths in agreed.items() if paths}


def _agreed_kind(declared: set[str]) -> str | None:
    if len(declared) == 1:
        return next(iter(declared))
    return kinds.FLOAT if declared == {kinds.INT, kinds.FLOAT} else None


class _Subschema:
    """A subschema with the document it stands in and the base that its relative references start from."""

    def __init__(self, schema: Any, document: Any, base: str):
        self.schema = schema if isinstance(schema, Mapping) else {}
        self.document = document
        self.base = base

    def child(self, schema: Any) -> "_Subschema":
        """A part of it; one that names itself anew is a document of its own."""
        name = schema.get("$id") if isinstance(schema, Mapping) else None
        if isinstance(name, str) and not name.startswith("#"):
            return _Subschema(schema, schema, resolve(self.base, name))
        return _Subschema(schema, self.document, self.base)


def _base(document: Any) -> str:
    return str(document.get("$id", "")) if isinstance(document, Mapping) else ""


class _Walk:
    def __init__(self, documents: Mapping[str, Any]):
        self.documents = {plain_uri(key): document for key, document in documents.items()}
        self.kinds: dict[str, dict[Path, set[str]]] = {}
        self.ambiguous: set[tuple[str, Path]] = set()
        self.above: list[int] = []
        """Identities of the subschemas around the present one: a recursive schema is left where it begins anew."""
        self.visits = 0

    def agreed(self) -> dict[str, dict[Path, str]]:
        for table, path in self.ambiguous:
            self.kinds.get(table, {}).pop(path, None)
        return _agreed(self.kinds)

    def rows(self, table: str, subschema: _Subschema, depth: int) -> None:
        """What fills `table`: at the top an object, or an array of rows; further down the array's elements."""
        for meaning in self._meanings(subschema):
            if depth == 1 and ("items" in meaning.schema or meaning.schema.get("type") == "array"):
                self._elements(table, meaning, depth)
            else:
                self._value(table, (), meaning, depth)

    def _elements(self, table: str, array: _Subschema, depth: int) -> None:
        items = array.schema.get("items")
        for item in items if isinstance(items, list) else [items]:
            for meaning in self._meanings(array.child(item)):
                self._value(table, (), meaning, depth)

    def _value(self, table: str, path: Path, subschema: _Subschema, depth: int) -> None:
        """One meaning of what stands at `path`; `value` where a row is no object."""
        self.visits += 1
        if id(subschema.schema) in self.above or self.visits > _MAX_VISITS:
            return
        self.above.append(id(subschema.schema))
        self._declare(table, path, subschema, depth)
        self.above.pop()

    def _declare(self, table: str, path: Path, subschema: _Subschema, depth: int) -> None:
        scalars = {_KINDS[name] for name in _types(subschema.schema) if name in _KINDS}
        if scalars:
            column = path or ("value",)
            if _agreed_kind(scalars) is None:
                self.ambiguous.add((table, column))
            self.kinds.setdefault(table, {}).setdefault(column, set()).update(scalars)
        if isinstance(subschema.schema.get("properties"), Mapping):
            for key, schema in subschema.schema["properties"].items():
                for meaning in self._meanings(subschema.child(schema)):
                    self._value(table, (*path, key), meaning, depth)
        if "items" in subschema.schema and depth < _MAX_TABLE_DEPTH:
            self._elements(child_table(table, path or ("value",)), subschema, depth + 1)

    def _meanings(self, subschema: _Subschema, seen: frozenset[tuple[str, str]] = frozenset()) -> Iterator[_Subschema]:
        """The subschema itself, what it refers to, and its branches."""
        reference = subschema.schema.get("$ref")
        if isinstance(reference, str):
            target = self._target(subschema, reference)
            if target and (subschema.base, reference) not in seen:
                yield from self._meanings(target, seen | {(subschema.base, reference)})
            return
        yield subschema
        branches = [branch for key in _BRANCHES for branch in _listed(subschema.schema.get(key))]
        branches += [subschema.schema[key] for key in _CHOICES if key in subschema.schema]
        for branch in branches:
            yield from self._meanings(subschema.child(branch), seen)

    def _target(self, subschema: _Subschema, reference: str) -> _Subschema | None:
        target = resolve(subschema.base, reference)
        url = plain_uri(target)
        document = subschema.document if url == plain_uri(subschema.base) else self.documents.get(url)
        if document is None:
            return None
        base = subschema.base if document is subschema.document else _base(document) or url
        schema = _subschema(document, fragment_of(target))
        return None if schema is None else _Subschema(schema, document, base)


def _types(schema: Mapping[str, Any]) -> set[str]:
    """The types that a schema allows by `type`, else by `const` or `enum`."""
    declared = schema.get("type")
    if declared is not None:
        return {name for name in (declared if isinstance(declared, list) else [declared]) if isinstance(name, str)}
    values = [schema["const"]] if "const" in schema else _listed(schema.get("enum"))
    scalars = [value for value in values if value is not None and not isinstance(value, (dict, list))]
    return {_TYPES[kinds.kind_of(value)] for value in scalars if kinds.kind_of(value) in _TYPES}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _subschema(document: Any, fragment: str) -> Any:
    """What a fragment names in a document: by a JSON pointer, or by a name that a definition gives itself (`"$id":
    "#Name"`)."""
    if not fragment or fragment.startswith("/"):
        return follow(document, parts_of(fragment))
    definitions = document.get("definitions") if isinstance(document, Mapping) else None
    candidates = definitions.values() if isinstance(definitions, Mapping) else ()
    matching = (inner for inner in candidates if isinstance(inner, Mapping) and inner.get("$id") == f"#{fragment}")
    return next(matching, None)

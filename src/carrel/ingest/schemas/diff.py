"""Old schema against new: what changed, and what each change does to files and tables.

| change | what it means |
|---|---|
| additive | a new optional property, or one that was not described: files of both fit, tables get a column |
| widening | more values fit than before: no file that fitted is refused, types stay or widen |
| narrowing | fewer values fit: files that fitted may be refused |
| kind | another type: tables would need another column, or the dataset another version |
| wording | titles, descriptions, examples: nothing changes |

A change that cannot be judged (inside `anyOf`, `not`, ...) counts as narrowing: look at it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from carrel.ingest.json_pointers import follow, parts_of, pointer_of
from carrel.ingest.schemas.library import Library
from carrel.ingest.schemas.references import base_of
from carrel.ingest.schemas.relaxation import SPOKEN
from carrel.ingest.uris import fragment_of, plain_uri, resolve


class ChangeClass(StrEnum):
    WORDING = "wording"
    ADDITIVE = "additive"
    WIDENING = "widening"
    NARROWING = "narrowing"
    KIND = "kind"


_SEVERITY = list(ChangeClass)


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One change. `pointer`: where in the data (`*`: each element, or each other property), as a JSON pointer."""

    change: ChangeClass
    pointer: str
    message: str


def worst(changes: list[SchemaChange]) -> ChangeClass | None:
    """The class that decides; None when nothing changed."""
    return max((change.change for change in changes), key=_SEVERITY.index, default=None)


def diff_schema(
    old: Any, new: Any, old_library: Library | None = None, new_library: Library | None = None
) -> list[SchemaChange]:
    """Every change, by pointer. `$ref`s are followed within the documents and into the libraries."""
    before = _Node(old, old, base_of(old, ""), old_library or Library())
    after = _Node(new, new, base_of(new, ""), new_library or Library())
    changes = dict.fromkeys(_compare(before, after, (), frozenset()))
    return sorted(changes, key=lambda change: (change.pointer, _SEVERITY.index(change.change), change.message))


@dataclass(frozen=True)
class _Node:
    """A schema with the document it stands in; `$ref` alone is followed."""

    schema: Any
    document: Any
    base: str
    library: Library

    def child(self, schema: Any) -> "_Node":
        return _Node(schema, self.document, self.base, self.library)

    def follow(self) -> "_Node":
        """What its `$ref` points to, through several in a row; the last that is there when one leads nowhere."""
        node = self
        for _ in range(20):
            if not (isinstance(node.schema, dict) and isinstance(node.schema.get("$ref"), str)):
                return node
            target = node._target(node.schema["$ref"])
            if target is None:
                return node
            node = target
        return node

    def _target(self, reference: str) -> "_Node | None":
        target = resolve(self.base, reference)
        uri = plain_uri(target)
        document, base = self.document, self.base
        if uri and uri != self.base:
            if uri not in self.library:
                return None
            document = self.library.document(uri)
            base = base_of(document, uri)
        schema = _subschema(document, fragment_of(target))
        return None if schema is None else _Node(schema, document, base, self.library)

    @property
    def keywords(self) -> dict[str, Any]:
        if self.schema is False:
            return {"not": {}}
        return self.schema if isinstance(self.schema, dict) else {}


def _subschema(document: Any, fragment: str) -> Any:
    """What a fragment names in a document: by a JSON pointer, or by a name that the subschema gives itself."""
    if not fragment or fragment.startswith("/"):
        return follow(document, parts_of(fragment))
    names = (("$id", f"#{fragment}"), ("$anchor", fragment))
    return next((inner for inner in _objects(document) if any(inner.get(key) == name for key, name in names)), None)


def _objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object in a document, from the root down."""
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from _objects(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _objects(value)


Visited = frozenset[tuple[int, int]]
Parts = tuple[str, ...]


def _compare(old: _Node, new: _Node, parts: Parts, visited: Visited) -> Iterator[SchemaChange]:
    old, new = old.follow(), new.follow()
    pair = (id(old.schema), id(new.schema))
    if pair in visited:
        return
    visited |= {pair}
    yield from _types(old, new, parts)
    yield from _required(old, new, parts)
    yield from _properties(old, new, parts, visited)
    yield from _closed(old, new, parts, visited)
    yield from _items(old, new, parts, visited)
    yield from _all_of(old, new, parts, visited)
    yield from _allowed_values(old, new, parts)
    for keyword in _LIMITS:
        yield from _limit(old, new, parts, keyword)
    yield from _unknown_keywords(old, new, parts)
    if _wording(old) != _wording(new):
        yield _change(ChangeClass.WORDING, parts, "the description changed")


def _change(change: ChangeClass, parts: Parts, message: str) -> SchemaChange:
    return SchemaChange(change, pointer_of(parts), message)


_ALL_TYPES = frozenset(("null", "boolean", "object", "array", "number", "string"))


def _type_set(node: _Node) -> frozenset[str]:
    declared = node.keywords.get("type")
    if isinstance(declared, str):
        return frozenset((declared,))
    return frozenset(declared) if isinstance(declared, list) else _ALL_TYPES


def _types(old: _Node, new: _Node, parts: Parts) -> Iterator[SchemaChange]:
    before, after = _type_set(old), _type_set(new)
    if before == after:
        return
    removed = {kind for kind in before - after if not (kind == "integer" and "number" in after)}
    added = {kind for kind in after - before if not (kind == "integer" and "number" in before)}
    wider = {"null", "number"} if "integer" in before else {"null"}
    message = f"{_name_types(old, before)} became {_name_types(new, after)}"
    if not removed and (added <= wider or "type" not in new.keywords):
        yield _change(ChangeClass.WIDENING, parts, message)
    else:
        yield _change(ChangeClass.KIND if added else ChangeClass.NARROWING, parts, message)


def _name_types(node: _Node, types: frozenset[str]) -> str:
    return " or ".join(sorted(types)) if "type" in node.keywords else "any type"


def _required(old: _Node, new: _Node, parts: Parts) -> Iterator[SchemaChange]:
    before, after = (set(node.keywords.get("required", ())) for node in (old, new))
    for name in sorted(after - before):
        yield _change(ChangeClass.NARROWING, (*parts, name), "it is required now")
    for name in sorted(before - after):
        yield _change(ChangeClass.WIDENING, (*parts, name), "it is not required any more")


def _properties(old: _Node, new: _Node, parts: Parts, visited: Visited) -> Iterator[SchemaChange]:
    before, after = old.keywords.get("properties", {}), new.keywords.get("properties", {})
    for name in sorted(set(before) & set(after)):
        yield from _compare(old.child(before[name]), new.child(after[name]), (*parts, name), visited)
    for name in sorted(set(after) - set(before)):
        yield _change(ChangeClass.ADDITIVE, (*parts, name), "it is new")
        asserted = set(new.child(after[name]).follow().keywords) - SPOKEN
        if asserted and not _is_closed(old):
            yield _change(ChangeClass.NARROWING, (*parts, name), "it could be anything before, and is described now")
    for name in sorted(set(before) - set(after)):
        if isinstance(new.keywords.get("additionalProperties"), dict):
            unnamed = new.child(new.keywords["additionalProperties"])
            yield from _compare(old.child(before[name]), unnamed, (*parts, name), visited)
        elif _is_closed(new):
            yield _change(ChangeClass.NARROWING, (*parts, name), "it is not allowed any more")
        else:
            yield _change(ChangeClass.WIDENING, (*parts, name), "it is not described any more")


def _is_closed(node: _Node) -> bool:
    return node.keywords.get("additionalProperties", True) is False


def _closed(old: _Node, new: _Node, parts: Parts, visited: Visited) -> Iterator[SchemaChange]:
    before, after = (node.keywords.get("additionalProperties", True) for node in (old, new))
    if isinstance(before, bool) and isinstance(after, bool):
        if before and not after:
            yield _change(ChangeClass.NARROWING, (*parts, "*"), "other properties are not allowed any more")
        elif after and not before:
            yield _change(ChangeClass.WIDENING, (*parts, "*"), "other properties are allowed now")
    else:
        yield from _compare(old.child(before), new.child(after), (*parts, "*"), visited)


def _items(old: _Node, new: _Node, parts: Parts, visited: Visited) -> Iterator[SchemaChange]:
    before, after = (node.keywords.get("items", True) for node in (old, new))
    if isinstance(before, list) or isinstance(after, list):
        if before != after:
            yield _change(ChangeClass.NARROWING, (*parts, "*"), "the elements are described in another way")
    else:
        yield from _compare(old.child(before), new.child(after), (*parts, "*"), visited)


def _all_of(old: _Node, new: _Node, parts: Parts, visited: Visited) -> Iterator[SchemaChange]:
    before, after = (node.keywords.get("allOf", []) for node in (old, new))
    for earlier, later in zip(before, after, strict=False):
        yield from _compare(old.child(earlier), new.child(later), parts, visited)
    if len(after) > len(before):
        yield _change(ChangeClass.NARROWING, parts, "more schemas must be kept to (allOf)")
    elif len(after) < len(before):
        yield _change(ChangeClass.WIDENING, parts, "fewer schemas must be kept to (allOf)")


def _allowed_values(old: _Node, new: _Node, parts: Parts) -> Iterator[SchemaChange]:
    before, after = _listed_values(old), _listed_values(new)
    if before is None and after is None:
        return
    if before is None:
        yield _change(ChangeClass.NARROWING, parts, "only listed values are allowed now")
    elif after is None:
        yield _change(ChangeClass.WIDENING, parts, "values other than the listed ones are allowed now")
    else:
        if before - after:
            yield _change(ChangeClass.NARROWING, parts, f"{len(before - after)} values are not allowed any more")
        if after - before:
            yield _change(ChangeClass.WIDENING, parts, f"{len(after - before)} more values are allowed")


def _listed_values(node: _Node) -> set[str] | None:
    keywords = node.keywords
    values = [keywords["const"]] if "const" in keywords else keywords.get("enum")
    return {f"{type(value).__name__}:{value!r}" for value in values} if isinstance(values, list) else None


_LIMITS = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength"), (ChangeClass.NARROWING, ChangeClass.WIDENING)),
    **dict.fromkeys(("minItems", "minProperties"), (ChangeClass.NARROWING, ChangeClass.WIDENING)),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength"), (ChangeClass.WIDENING, ChangeClass.NARROWING)),
    **dict.fromkeys(("maxItems", "maxProperties"), (ChangeClass.WIDENING, ChangeClass.NARROWING)),
}
"""keyword -> what a higher limit is, what a lower one is."""


def _limit(old: _Node, new: _Node, parts: Parts, keyword: str) -> Iterator[SchemaChange]:
    higher, lower = _LIMITS[keyword]
    before, after = old.keywords.get(keyword), new.keywords.get(keyword)
    if before == after:
        return
    if before is None or isinstance(before, bool) or isinstance(after, bool):
        yield _change(ChangeClass.NARROWING, parts, f"{keyword} is {after} now")
    elif after is None:
        yield _change(ChangeClass.WIDENING, parts, f"{keyword} {before} is gone")
    else:
        yield _change(higher if after > before else lower, parts, f"{keyword} {before} became {after}")


_COMPARED = frozenset(
    ("type", "required", "properties", "additionalProperties", "items", "allOf", "enum", "const", "format", *_LIMITS)
)


def _unknown_keywords(old: _Node, new: _Node, parts: Parts) -> Iterator[SchemaChange]:
    """Keywords that are not understood here: gone is wider, any other change may be narrower."""
    if "$ref" in {*old.keywords, *new.keywords} and old.document != new.document:
        yield _change(ChangeClass.NARROWING, parts, "it refers to a schema that is not known here: look at it")
    names = (set(old.keywords) | set(new.keywords)) - _COMPARED - SPOKEN
    for name in sorted(names):
        before, after = old.keywords.get(name), new.keywords.get(name)
        if before != after:
            change = ChangeClass.WIDENING if after is None else ChangeClass.NARROWING
            yield _change(change, parts, f"{name} {'is gone' if after is None else 'changed' if before else 'is new'}")


def _wording(node: _Node) -> dict[str, Any]:
    """What describes and asserts nothing; `format` is not asserted, so it belongs here too."""
    return {
        key: node.keywords.get(key) for key in ("title", "description", "examples", "default", "$comment", "format")
    }

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
from urllib.parse import unquote

from carrel.ingest.archives.faults import pointer_of
from carrel.ingest.schemas.forgiveness import pattern_parts
from carrel.ingest.schemas.library import Library, plain_uri
from carrel.ingest.schemas.references import base_of
from carrel.ingest.schemas.relaxing import SPOKEN
from carrel.ingest.uris import resolve


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
    return max((each.change for each in changes), key=_SEVERITY.index, default=None)


def diff_schema(
    old: Any, new: Any, old_library: Library | None = None, new_library: Library | None = None
) -> list[SchemaChange]:
    """Every change, by pointer. `$ref`s are followed within the documents and into the libraries."""
    before = _Node(old, old, base_of(old, ""), old_library or Library())
    after = _Node(new, new, base_of(new, ""), new_library or Library())
    found = dict.fromkeys(_compare(before, after, (), frozenset()))
    return sorted(found, key=lambda each: (each.pointer, _SEVERITY.index(each.change), each.message))


@dataclass(frozen=True)
class _Node:
    """A schema with the document it stands in; `$ref` alone is followed."""

    schema: Any
    document: Any
    base: str
    library: Library

    def child(self, schema: Any) -> "_Node":
        return _Node(schema, self.document, self.base, self.library)

    def followed(self) -> "_Node":
        node = self
        for _ in range(20):
            if not (isinstance(node.schema, dict) and isinstance(node.schema.get("$ref"), str)):
                return node
            target = node._target(node.schema["$ref"])
            if target is None:
                return node
            node = target
        return node

    def _target(self, ref: str) -> "_Node | None":
        where = resolve(self.base, ref)
        uri, fragment = plain_uri(where), unquote(where.partition("#")[2])
        document, base = self.document, self.base
        if uri and uri != self.base:
            if uri not in self.library:
                return None
            document = self.library.document(uri)
            base = base_of(document, uri)
        found = _fragment(document, fragment)
        return None if found is None else _Node(found, document, base, self.library)

    @property
    def keywords(self) -> dict[str, Any]:
        if self.schema is False:
            return {"not": {}}
        return self.schema if isinstance(self.schema, dict) else {}


def _fragment(document: Any, fragment: str) -> Any:
    if not fragment:
        return document
    if fragment.startswith("/"):
        for part in pattern_parts(fragment):
            if isinstance(document, dict) and part in document:
                document = document[part]
            elif isinstance(document, list) and part.isdigit() and int(part) < len(document):
                document = document[int(part)]
            else:
                return None
        return document
    return next(
        (each for each in _all(document) if each.get("$id") == f"#{fragment}" or each.get("$anchor") == fragment), None
    )


def _all(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from _all(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _all(value)


Seen = frozenset[tuple[int, int]]
Place = tuple[str, ...]


def _compare(old: _Node, new: _Node, place: Place, seen: Seen) -> Iterator[SchemaChange]:
    old, new = old.followed(), new.followed()
    pair = (id(old.schema), id(new.schema))
    if pair in seen:
        return
    seen |= {pair}
    yield from _types(old, new, place)
    yield from _required(old, new, place)
    yield from _properties(old, new, place, seen)
    yield from _closed(old, new, place, seen)
    yield from _items(old, new, place, seen)
    yield from _all_of(old, new, place, seen)
    yield from _values(old, new, place)
    for keyword, (less, more) in _LIMITS.items():
        yield from _limit(old, new, place, keyword, less, more)
    yield from _others(old, new, place)
    if _spoken(old) != _spoken(new):
        yield _change(ChangeClass.WORDING, place, "the description changed")


def _change(change: ChangeClass, place: Place, message: str) -> SchemaChange:
    return SchemaChange(change, pointer_of(place), message)


_ALL_TYPES = frozenset(("null", "boolean", "object", "array", "number", "string"))


def _type_set(node: _Node) -> frozenset[str]:
    declared = node.keywords.get("type")
    found = (
        {declared} if isinstance(declared, str) else set(declared) if isinstance(declared, list) else set(_ALL_TYPES)
    )
    return frozenset(found)


def _types(old: _Node, new: _Node, place: Place) -> Iterator[SchemaChange]:
    before, after = _type_set(old), _type_set(new)
    if before == after:
        return
    gone = {each for each in before - after if not (each == "integer" and "number" in after)}
    come = {each for each in after - before if not (each == "integer" and "number" in before)}
    wider = {"null", "number"} if "integer" in before else {"null"}
    words = f"{_named(old, before)} became {_named(new, after)}"
    if not gone and (come <= wider or "type" not in new.keywords):
        yield _change(ChangeClass.WIDENING, place, words)
    else:
        yield _change(ChangeClass.KIND if come else ChangeClass.NARROWING, place, words)


def _named(node: _Node, types: frozenset[str]) -> str:
    return " or ".join(sorted(types)) if "type" in node.keywords else "any type"


def _required(old: _Node, new: _Node, place: Place) -> Iterator[SchemaChange]:
    before, after = (set(node.keywords.get("required", ())) for node in (old, new))
    for name in sorted(after - before):
        yield _change(ChangeClass.NARROWING, (*place, name), "it is required now")
    for name in sorted(before - after):
        yield _change(ChangeClass.WIDENING, (*place, name), "it is not required any more")


def _properties(old: _Node, new: _Node, place: Place, seen: Seen) -> Iterator[SchemaChange]:
    before, after = old.keywords.get("properties", {}), new.keywords.get("properties", {})
    for name in sorted(set(before) & set(after)):
        yield from _compare(old.child(before[name]), new.child(after[name]), (*place, name), seen)
    for name in sorted(set(after) - set(before)):
        yield _change(ChangeClass.ADDITIVE, (*place, name), "it is new")
        if not _is_closed(old) and _says_something(new.child(after[name])):
            yield _change(ChangeClass.NARROWING, (*place, name), "it could be anything before, and is described now")
    for name in sorted(set(before) - set(after)):
        if isinstance(new.keywords.get("additionalProperties"), dict):
            others = new.child(new.keywords["additionalProperties"])
            yield from _compare(old.child(before[name]), others, (*place, name), seen)
        elif _is_closed(new):
            yield _change(ChangeClass.NARROWING, (*place, name), "it is not allowed any more")
        else:
            yield _change(ChangeClass.WIDENING, (*place, name), "it is not described any more")


def _says_something(node: _Node) -> bool:
    return bool(set(node.followed().keywords) - SPOKEN)


def _is_closed(node: _Node) -> bool:
    return node.keywords.get("additionalProperties", True) is False


def _closed(old: _Node, new: _Node, place: Place, seen: Seen) -> Iterator[SchemaChange]:
    before, after = (node.keywords.get("additionalProperties", True) for node in (old, new))
    if isinstance(before, bool) and isinstance(after, bool):
        if before and not after:
            yield _change(ChangeClass.NARROWING, (*place, "*"), "other properties are not allowed any more")
        elif after and not before:
            yield _change(ChangeClass.WIDENING, (*place, "*"), "other properties are allowed now")
    else:
        yield from _compare(old.child(before), new.child(after), (*place, "*"), seen)


def _items(old: _Node, new: _Node, place: Place, seen: Seen) -> Iterator[SchemaChange]:
    before, after = (node.keywords.get("items", True) for node in (old, new))
    if isinstance(before, list) or isinstance(after, list):
        if before != after:
            yield _change(ChangeClass.NARROWING, (*place, "*"), "the elements are described in another way")
    else:
        yield from _compare(old.child(before), new.child(after), (*place, "*"), seen)


def _all_of(old: _Node, new: _Node, place: Place, seen: Seen) -> Iterator[SchemaChange]:
    before, after = (node.keywords.get("allOf", []) for node in (old, new))
    for one, other in zip(before, after, strict=False):
        yield from _compare(old.child(one), new.child(other), place, seen)
    if len(after) > len(before):
        yield _change(ChangeClass.NARROWING, place, "more schemas must be kept to (allOf)")
    elif len(after) < len(before):
        yield _change(ChangeClass.WIDENING, place, "fewer schemas must be kept to (allOf)")


def _values(old: _Node, new: _Node, place: Place) -> Iterator[SchemaChange]:
    before, after = _listed(old), _listed(new)
    if before is None and after is None:
        return
    if before is None:
        yield _change(ChangeClass.NARROWING, place, "only listed values are allowed now")
    elif after is None:
        yield _change(ChangeClass.WIDENING, place, "values other than the listed ones are allowed now")
    else:
        if before - after:
            yield _change(ChangeClass.NARROWING, place, f"{len(before - after)} values are not allowed any more")
        if after - before:
            yield _change(ChangeClass.WIDENING, place, f"{len(after - before)} more values are allowed")


def _listed(node: _Node) -> set[str] | None:
    keywords = node.keywords
    values = [keywords["const"]] if "const" in keywords else keywords.get("enum")
    return {f"{type(each).__name__}:{each!r}" for each in values} if isinstance(values, list) else None


_LIMITS = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength"), (ChangeClass.NARROWING, ChangeClass.WIDENING)),
    **dict.fromkeys(("minItems", "minProperties"), (ChangeClass.NARROWING, ChangeClass.WIDENING)),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength"), (ChangeClass.WIDENING, ChangeClass.NARROWING)),
    **dict.fromkeys(("maxItems", "maxProperties"), (ChangeClass.WIDENING, ChangeClass.NARROWING)),
}
"""keyword -> what a higher limit is, what a lower one is."""


def _limit(
    old: _Node, new: _Node, place: Place, keyword: str, higher: ChangeClass, lower: ChangeClass
) -> Iterator[SchemaChange]:
    before, after = old.keywords.get(keyword), new.keywords.get(keyword)
    if before == after:
        return
    if before is None or isinstance(before, bool) or isinstance(after, bool):
        yield _change(ChangeClass.NARROWING, place, f"{keyword} is {after} now")
    elif after is None:
        yield _change(ChangeClass.WIDENING, place, f"{keyword} {before} is gone")
    else:
        yield _change(higher if after > before else lower, place, f"{keyword} {before} became {after}")


_COMPARED = frozenset(
    ("type", "required", "properties", "additionalProperties", "items", "allOf", "enum", "const", "format", *_LIMITS)
)


def _others(old: _Node, new: _Node, place: Place) -> Iterator[SchemaChange]:
    """Keywords that are not understood here: gone is wider, any other change may be narrower."""
    if "$ref" in {*old.keywords, *new.keywords} and old.document != new.document:
        yield _change(ChangeClass.NARROWING, place, "it refers to a schema that is not known here: look at it")
    names = (set(old.keywords) | set(new.keywords)) - _COMPARED - SPOKEN
    for name in sorted(names):
        before, after = old.keywords.get(name), new.keywords.get(name)
        if before != after:
            change = ChangeClass.WIDENING if after is None else ChangeClass.NARROWING
            yield _change(change, place, f"{name} {'is gone' if after is None else 'changed' if before else 'is new'}")


def _spoken(node: _Node) -> dict[str, Any]:
    """`format` is not asserted, so it is a word too."""
    return {
        key: node.keywords.get(key) for key in ("title", "description", "examples", "default", "$comment", "format")
    }

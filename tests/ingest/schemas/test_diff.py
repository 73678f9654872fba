"""What a change of a schema does; and that no change is called harmless that refuses a file."""

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrel.ingest.mapping import load
from carrel.ingest.schemas import Library
from carrel.ingest.schemas.diff import ChangeClass, diff_schema, worst
from carrel.ingest.schemas.samples import Group, compare_on_sample, representative

DRAFT = "http://json-schema.org/draft-07/schema#"


def changes(old, new, *libraries):
    return [(each.change.value, each.pointer) for each in diff_schema(old, new, *libraries)]


def props(**properties):
    return {"properties": properties}


CASES = [
    ({}, {}, []),
    ({"title": "a"}, {"title": "b"}, [("wording", "")]),
    ({"format": "date"}, {}, [("wording", "")]),
    (props(), props(a={}), [("additive", "/a")]),
    (props(), props(a={"type": "string"}), [("additive", "/a"), ("narrowing", "/a")]),
    (
        {"additionalProperties": False},
        {"additionalProperties": False, **props(a={"type": "string"})},
        [("additive", "/a")],
    ),
    (props(a={}), props(), [("widening", "/a")]),
    ({**props(a={}), "additionalProperties": False}, {"additionalProperties": False}, [("narrowing", "/a")]),
    (props(a={"type": "string"}), {"additionalProperties": {"type": "string"}}, [("narrowing", "/*")]),
    ({}, {"additionalProperties": False}, [("narrowing", "/*")]),
    ({"additionalProperties": False}, {}, [("widening", "/*")]),
    ({"required": ["a"]}, {"required": ["b"]}, [("widening", "/a"), ("narrowing", "/b")]),
    ({"type": "integer"}, {"type": "number"}, [("widening", "")]),
    ({"type": "number"}, {"type": "integer"}, [("narrowing", "")]),
    ({"type": "integer"}, {"type": ["integer", "null"]}, [("widening", "")]),
    ({"type": ["integer", "null"]}, {"type": "integer"}, [("narrowing", "")]),
    ({"type": "string"}, {"type": "integer"}, [("kind", "")]),
    ({"type": "string"}, {"type": ["string", "number"]}, [("kind", "")]),
    ({"type": "string"}, {}, [("widening", "")]),
    ({}, {"type": "string"}, [("narrowing", "")]),
    ({"items": {"type": "string"}}, {"items": {"type": "array"}}, [("kind", "/*")]),
    ({"items": [{}]}, {"items": [{}, {}]}, [("narrowing", "/*")]),
    ({"items": [{}]}, {"items": [{}]}, []),
    ({"enum": [1, 2]}, {"enum": [2, 3]}, [("widening", ""), ("narrowing", "")]),
    ({"enum": [1]}, {"const": 1}, []),
    ({}, {"enum": [1]}, [("narrowing", "")]),
    ({"const": 1}, {}, [("widening", "")]),
    ({"minimum": 1}, {"minimum": 2}, [("narrowing", "")]),
    ({"minimum": 2}, {"minimum": 1}, [("widening", "")]),
    ({"maxLength": 1}, {"maxLength": 2}, [("widening", "")]),
    ({"maxLength": 1}, {}, [("widening", "")]),
    ({}, {"maxItems": 1}, [("narrowing", "")]),
    ({"allOf": [{}]}, {"allOf": [{}, {"required": ["a"]}]}, [("narrowing", "")]),
    ({"allOf": [{"required": ["a"]}]}, {"allOf": []}, [("widening", "")]),
    ({"allOf": [{"type": "object"}]}, {"allOf": [{"type": "array"}]}, [("kind", "")]),
    ({"pattern": "a"}, {"pattern": "b"}, [("narrowing", "")]),
    ({"pattern": "a"}, {}, [("widening", "")]),
    ({}, {"anyOf": [{}]}, [("narrowing", "")]),
    (props(a=True), props(a=False), [("narrowing", "/a")]),
    (
        {"definitions": {"X": {"type": "string"}}, **props(a={"$ref": "#/definitions/X"})},
        {"definitions": {"Y": {"$id": "#y", "type": "integer"}}, **props(a={"$ref": "#y"})},
        [("kind", "/a")],
    ),
    (
        {"allOf": [{"a": 1}], **props(a={"$ref": "#/allOf/0"})},
        {"allOf": [{"a": 2}], **props(a={"$ref": "#/allOf/0"})},
        None,
    ),
    (props(a={"$ref": "#/no"}), {**props(a={"$ref": "#/no"}), "title": "x"}, [("wording", ""), ("narrowing", "/a")]),
    (props(a={"$ref": "#"}), {**props(a={"$ref": "#"}), "required": ["b"]}, [("narrowing", "/b")]),
]


@pytest.mark.parametrize(("old", "new", "expected"), CASES)
def test_each_change_has_its_class(old, new, expected):
    found = changes(old, new)
    if expected is None:
        assert ("narrowing", "/a") in found
    else:
        assert found == expected


def test_the_worst_change_decides():
    assert worst([]) is None
    assert worst(diff_schema({"type": "string"}, {"type": "integer", "title": "t"})) is ChangeClass.KIND


def test_references_go_into_the_library_each_schema_came_from():
    def library(kind):
        document = json.dumps({"definitions": {"X": {"type": kind}}}).encode()
        return Library({"h": document}, {"https://x.org/o.json": "h"})

    schema = {"$id": "https://x.org/a.json", **props(a={"$ref": "o.json#/definitions/X"})}
    assert changes(schema, schema, library("string"), library("integer")) == [("kind", "/a")]
    assert changes(schema, schema, library("string"), library("string")) == []


leaf = st.sampled_from(
    [
        *({"type": "integer"}, {"type": "number"}, {"type": ["string", "null"]}, {"enum": [1, "a"]}, {"const": 1}),
        *({"minimum": 1}, {"minimum": 2}, {"maximum": 1}, {}, True, False, {"minLength": 1}, {"pattern": "a"}),
    ]
)
schemas = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2)},
            optional={
                "required": st.lists(st.sampled_from("ab"), unique=True),
                "additionalProperties": st.booleans() | inner,
                "type": st.just("object"),
                "minProperties": st.integers(0, 2),
            },
        ),
        st.fixed_dictionaries({"items": inner | st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"not": inner}),
        st.fixed_dictionaries({"patternProperties": st.fixed_dictionaries({"^a": inner})}),
    ),
    max_leaves=4,
)
values = st.recursive(
    st.sampled_from([None, True, 0, 1, 2.5, "", "a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=5,
)


def related(one, other, how):
    """Pairs that differ in all, or in a few keywords only."""
    if how == "other" or isinstance(one, bool) or isinstance(other, bool):
        return one, other
    both = {**one, **other}
    return (one, both) if how == "more" else (both, one)


pairs = st.builds(related, schemas, schemas, st.sampled_from(["other", "more", "fewer"]))


@settings(max_examples=400)
@given(pairs, values)
def test_what_is_called_harmless_refuses_no_file_that_was_taken(pair, value):
    old, new = pair
    if jsonschema.Draft7Validator(old).is_valid(value) and not jsonschema.Draft7Validator(new).is_valid(value):
        found = diff_schema(old, new)
        assert worst(found) in (ChangeClass.NARROWING, ChangeClass.KIND), found


def test_one_record_stands_for_each_os_version_and_revision(record):
    def of(name, day, os_name="Android", version=1, revision=5):
        info = f"ClientInfo [appVersion={version}, osName={os_name}]"
        when = f"2024-01-{day:02d}T00:00:00Z"
        return record(revision=revision, clientinfo=info, recordid=name, uploadedon=when), name

    records = [
        of("c", 3),
        of("b", 1),
        of("a", 1),
        of("d", 1, "iPhone OS"),
        of("e", 1, version=2),
        of("f", 1, revision=6),
    ]
    chosen = representative(records)
    assert chosen == representative(reversed(records))
    assert {group: thing for group, (_, thing) in chosen.items()} == {
        Group("reading", 5, "Android", "1"): "a",
        Group("reading", 5, "Android", "2"): "e",
        Group("reading", 5, "iPhone OS", "1"): "d",
        Group("reading", 6, "Android", "1"): "f",
    }


def test_old_and_new_schema_on_a_sample(record):
    def library(schema):
        return Library({"h": json.dumps({"$schema": DRAFT, **schema}).encode()}, {"u:a": "h"}, None, "")

    files = [(record(), "a.json", value) for value in (1, "x", 2.5, None)]
    outcomes = compare_on_sample(
        files, "u:a", library({"type": ["integer", "string"]}), library({"type": "number"}), load()
    )
    assert [each.verdict for each in outcomes] == ["taken by both", "refused now", "taken now", "refused by both"]

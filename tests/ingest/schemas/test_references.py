"""References between schemas, as RFC 3986 and the JSON Schema standard say: URNs, and keywords that nobody knows."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.ingest_tables import lineage

from carrel.ingest.mapping import loads
from carrel.ingest.schemas import Checker, SchemaStore
from carrel.ingest.schemas.diff import diff_schema
from carrel.ingest.schemas.references import direct_references
from carrel.ingest.tables import declared_kinds
from carrel.ingest.uris import is_absolute, resolve
from carrel.ingest.values import Resolution

DRAFT = {"$schema": "http://json-schema.org/draft-07/schema#"}
URN = "urn:uuid:2f0a3d5e-8c44-4a55-9d0c-0a3f5b6c7d8e"
INTEGER = {"n": {"type": "integer"}}

NORMAL = {
    "g:h": "g:h", "g": "http://a/b/c/g", "./g": "http://a/b/c/g", "g/": "http://a/b/c/g/", "/g": "http://a/g",
    "//g": "http://g", "?y": "http://a/b/c/d;p?y", "g?y": "http://a/b/c/g?y", "#s": "http://a/b/c/d;p?q#s",
    "g#s": "http://a/b/c/g#s", "g?y#s": "http://a/b/c/g?y#s", ";x": "http://a/b/c/;x", "g;x": "http://a/b/c/g;x",
    "": "http://a/b/c/d;p?q", ".": "http://a/b/c/", "./": "http://a/b/c/", "..": "http://a/b/", "../g": "http://a/b/g",
    "../..": "http://a/", "../../g": "http://a/g", "../../../g": "http://a/g", "/./g": "http://a/g", "/../g": "http://a/g",
    "g.": "http://a/b/c/g.", "..g": "http://a/b/c/..g", "./../g": "http://a/b/g", "./g/.": "http://a/b/c/g/",
    "g/./h": "http://a/b/c/g/h", "g/../h": "http://a/b/c/h", "g?y/../x": "http://a/b/c/g?y/../x",
}  # fmt: skip
"""RFC 3986, section 5.4."""


@pytest.mark.parametrize(("reference", "meant"), NORMAL.items())
@pytest.mark.parametrize("scheme", ["http", "https", "file", "app", "x-own+1.0"])
def test_references_are_resolved_as_the_standard_says_in_every_scheme(scheme, reference, meant):
    assert resolve(f"{scheme}://a/b/c/d;p?q", reference) == meant.replace("http:", f"{scheme}:")


def test_fragments_of_urns_and_of_names_stay_where_they_are():
    assert resolve(URN, "#/definitions/n") == f"{URN}#/definitions/n"
    assert resolve(f"{URN}#/x", "#/y") == f"{URN}#/y"
    assert resolve("tag:a.org,2024:x/y", "#z") == "tag:a.org,2024:x/y#z"
    assert resolve("", "#/x") == "#/x"
    assert resolve("schemas/v0/a.json", "b.json#/x") == "schemas/v0/b.json#/x"


@given(st.text(), st.text())
def test_any_text_is_resolved_against_any_other(base, reference):
    assert isinstance(resolve(base, reference), str)
    assert is_absolute("urn:x")
    assert not is_absolute("1:x")


def checked(tmp_path, schema, value, *others):
    """The keywords that the value breaks; the schema goes through the store, as in a run."""
    store = SchemaStore(tmp_path / "store")
    for number, each in enumerate((schema, *others)):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(each))
        store.add([path])
    library = store.library()
    resolution = Resolution("X_v1", schema["$id"], library.hash_of(schema["$id"]), "")
    checker = Checker(loads("extends: nothing\n"), library)
    return [(each.keyword, each.pointer) for each in checker.check(value, resolution, lineage("r1").record, "x.json")]


def test_a_schema_may_be_known_by_a_urn(tmp_path):
    schema = {**DRAFT, "$id": URN, "properties": {"a": {"$ref": "#/definitions/n"}}, "definitions": INTEGER}
    assert checked(tmp_path, schema, {"a": 1}) == []
    assert checked(tmp_path, schema, {"a": "x"}) == [("type", "/a")]
    assert declared_kinds("X_v1", schema) == {"X_v1": {("a",): "int64"}}
    wider = {**schema, "definitions": {"n": {"type": "number"}}}
    assert {each.pointer for each in diff_schema(schema, wider)} == {"/a"}


def test_a_schema_may_refer_to_another_by_its_urn(tmp_path):
    other = {**DRAFT, "$id": "urn:example:n", "type": "integer"}
    schema = {**DRAFT, "$id": "https://e.org/x.json", "properties": {"a": {"$ref": "urn:example:n"}}}
    assert checked(tmp_path, schema, {"a": "x"}, other) == [("type", "/a")]


LOOKS_LIKE_SCHEMAS = [
    {"$ref": "https://nowhere.org/x.json"}, {"$id": "https://e.org/other.json", "$ref": "y.json"},
    {"$id": "%%:", "$ref": 5},
    [{"$ref": "z.json"}], {"properties": {"a": {"$ref": "https://nowhere.org/x.json"}}}, {"$ref": "http://[bad"},
]  # fmt: skip


@pytest.mark.parametrize("value", LOOKS_LIKE_SCHEMAS)
@pytest.mark.parametrize("keyword", ["x-meta", "codeBook", "title_de", "enum", "default", "const"])
def test_what_stands_under_an_unknown_keyword_is_no_schema(tmp_path, keyword, value):
    held = [value, {"a": 1}] if keyword == "enum" else {"a": 1} if keyword == "const" else value
    schema = {**DRAFT, "$id": "https://e.org/x.json", "properties": {"a": {"type": "integer"}}, keyword: held}
    assert direct_references(schema, schema["$id"]) == []
    assert checked(tmp_path, schema, {"a": 1}) == []
    assert ("type", "/a") in checked(tmp_path, schema, {"a": "x"})


def test_what_a_reference_points_to_is_a_schema_wherever_it_stands(tmp_path):
    parts = {
        "n": {"$ref": "https://e.org/n.json"},
        "loop": {"$ref": "#/x-parts/loop2"},
        "loop2": {"$ref": "#/x-parts/n"},
    }
    schema = {**DRAFT, "$id": "https://e.org/x.json", "properties": {"a": {"$ref": "#/x-parts/loop"}}, "x-parts": parts}
    assert direct_references(schema, schema["$id"]) == ["https://e.org/n.json"]
    assert [keyword for keyword, _ in checked(tmp_path, schema, {})] == ["schema_unusable"]
    other = {**DRAFT, "$id": "https://e.org/n.json", "type": "integer"}
    assert checked(tmp_path, schema, {"a": "x"}, other) == [("type", "/a")]


@pytest.mark.parametrize("reference", ["http://[bad", "%zz", "http://a:b:c/", "\ud800", "::", "urn:"])
def test_a_reference_that_is_none_makes_the_schema_unusable_and_nothing_worse(tmp_path, reference):
    schema = {**DRAFT, "$id": "https://e.org/x.json", "properties": {"a": {"$ref": reference}}}
    assert {keyword for keyword, _ in checked(tmp_path, schema, {"a": 1})} <= {"schema_unusable"}

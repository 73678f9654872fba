"""`carrel ingest check`: what is found before a run would meet it."""

import pytest
from tests.support.ingest_schemas import BASE

from carrel.ingest.mapping import load, loads
from carrel.ingest.mapping_checks import check_mapping
from carrel.ingest.schemas import Library
from carrel.ingest.tables.names import Field
from carrel.ingest.tables.schema import Column, DatasetSchema, TableSchema

URL = "https://x.org/a.json"
OTHER = "https://x.org/b.json"


def codes(findings):
    return {(each.severity, each.code, each.where) for each in findings}


def archive_map(anyOf=(), assessments=(), apps=()):
    return {"anyOf": list(anyOf), "assessments": list(assessments), "apps": list(apps)}


def file(name, url=None):
    return {"filename": name} | ({"jsonSchema": url} if url else {})


@pytest.fixture
def found(library_of):
    def found(mapping, documents=None, archive=None, built=None):
        library = library_of(documents or {}, archive or archive_map())
        return codes(check_mapping(loads("extends: nothing\n" + mapping), library, built))

    return found


def test_the_shipped_mapping_with_a_store_of_many_documents(whole_library):
    findings = check_mapping(load(), whole_library)
    assert [each.code for each in findings if each.severity == "error"] == ["schema_missing", "schema_missing"]
    assert {each.where for each in findings if each.code == "never_built"} == {
        *(f"schemas.schemas/v0/{name}.json" for name in ("3DRotation", "LetterNumberSeries", "ProgressiveMatrices")),
        *("schemas.schemas/v0/VerbalReasoning.json", "schemas.sharedSchema_for_Gradual_Onset"),
    }
    assert ("warning", "unsatisfiable", f"{BASE}/v1/TappingResultObject.json") in codes(findings)
    assert ("note", "never_matches", "forgive.android-motion-stepPath") in codes(findings)
    assert {each.where for each in findings if each.code == "unmapped_schema"} == {
        *("app field-study anyOf: readings.json", "app field-study default: band_motion.json"),
        *("app mobile-toolbox default: weather.json", "assessment gait revision 1: walk.json"),
        "assessment gait revision 4: steps.json",
    }
    assert ("warning", "mapped_twice", "app mobile-toolbox: weather.json") in codes(findings)
    assert ("note", "unmapped_file", "assessment gait revision 2: walk.csv") in codes(findings)
    assert len(findings) == 16
    assert str(findings[0]).startswith("error: app mobile-toolbox default: taskData.json: ")


def test_a_mapping_with_nothing_wrong(found):
    assert found(f"schemas: {{{URL}: A_v1}}", {URL: {"type": "object"}}, archive_map([file("a", URL)])) == set()


def test_without_an_archive_map():
    mapping = "extends: nothing\narchive_map: {url: x}"
    assert codes(check_mapping(loads(mapping), Library())) == {("error", "archive_map_missing", "archive_map")}
    assert check_mapping(loads("extends: nothing"), Library()) == []


def test_files_of_the_archive_map_that_go_nowhere(found):
    archive = archive_map([file("a", URL), file("b", OTHER), file("c"), file("d")])
    assert found("ignored: {d: why}", {URL: {}}, archive) == {
        ("warning", "unmapped_schema", "anyOf: a"),
        ("error", "schema_missing", "anyOf: b"),
        ("note", "unmapped_file", "anyOf: c"),
    }


def test_files_with_two_schemas(found):
    app = {"appId": "P", "default": [{"files": [file("a", URL)]}], "anyOf": [file("a", OTHER)]}
    mapping = f"schemas: {{{URL}: A_v1, {OTHER}: B_v1}}"
    documents = {URL: {"title": "a"}, OTHER: {"title": "b"}}
    assert found(mapping, documents, archive_map(apps=[app])) == {("warning", "mapped_twice", "app P: a")}


def test_names_that_never_match(found):
    mapping = f"""
schemas: {{{URL}: A_v1}}
aliases: {{a: z}}
ignored: {{"*.x": why}}
legacy: {{old: {{1: {{a: A_v1}}}}}}
"""
    archive = archive_map([file("a", URL), file("b.x", URL)])
    assert found(mapping, {URL: {}}, archive) == {
        ("warning", "never_matches", "aliases.a"),
        ("warning", "never_matches", "ignored.*.x"),
        ("warning", "never_matches", "legacy.old.1.a"),
    }


def test_datasets_that_are_never_built(found):
    mapping = f"""
schemas: {{{URL}: A_v1, gone: B_v1, gone2: A_v1}}
legacy: {{old: {{1: {{x: C_v1}}}}}}
datasets: {{A_v1: {{}}, C_v1: {{}}, D_v1: {{}}}}
"""
    assert found(mapping, {URL: {}}) == {
        ("warning", "never_built", "schemas.gone"),
        ("warning", "unused_options", "datasets.D_v1"),
    }


def test_datasets_that_collide(found):
    assert found("legacy: {old: {1: {x: a_v1, y: A_v1, w: B_v1}}}") == {("error", "collision", "datasets A_v1")}
    assert found("legacy: {old: {1: {y: A_v1, z: A_v1__b_v1}}}") == {("error", "collision", "datasets A_v1")}


def test_files_that_share_one_raw_file(found):
    walk = {"assessmentIdentifier": "w", "assessmentRevision": 1, "files": [file("l", URL), file("r", URL)]}
    mapping = f"schemas: {{{URL}: A_v1}}\ndefaults: {{naming: %s}}"
    assert found(mapping % "carrel", {URL: {}}, archive_map(assessments=[walk])) == set()
    wanted = {("note", "one_file_name", "assessment w revision 1")}
    assert found(mapping % "bridge", {URL: {"title": "b"}}, archive_map(assessments=[walk])) == wanted


def test_names_there_that_other_tables_have(found):
    one, other = f"schemas: {{{URL}: A_v1, {OTHER}: dataset_a_v1}}\n", {URL: {}, OTHER: {"title": "b"}}
    assert found(one, other) == set()
    wanted = {("warning", "bridge_name_taken", "datasets.A_v1.naming")}
    assert found(one + "defaults: {naming: bridge}", other) == wanted
    lengths = tuple(
        Column(field=Field((name,), "len"), name=f"{name}_len", kind="int64", kinds=("int64",)) for name in ("a", "a_b")
    )
    inner = (Column(field=Field(("b",), "len"), name="b_len", kind="int64", kinds=("int64",)),)
    tables = {"A_v1": lengths, "A_v1__a": inner, "A_v1__a_b": (), "A_v1__a__b": ()}
    made = {name: TableSchema(name, columns, name != "A_v1") for name, columns in tables.items()}
    alone = f"schemas: {{{URL}: A_v1}}\ndefaults: {{naming: %s}}"
    built = {"A_v1": DatasetSchema("A_v1", made)}
    assert found(alone % "carrel", {URL: {}}, None, built) == set()
    assert found(alone % "bridge", {URL: {}}, None, built) == wanted


def test_schemas_that_cannot_be_used_or_kept_to(found):
    impossible = {"type": "object", "required": ["a"], "additionalProperties": False}
    mapping = f"schemas: {{{URL}: A_v1, {OTHER}: B_v1}}"
    assert found(mapping, {URL: {"type": "strin"}, OTHER: impossible}) == {
        ("error", "schema_unusable", URL),
        ("warning", "unsatisfiable", OTHER),
    }


def test_schemas_that_contradict_each_other_or_the_tables(found):
    one = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
    two = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "number"}}}
    mapping = f"schemas: {{{URL}: A_v1, {OTHER}: A_v1}}"
    assert found(mapping, {URL: one, OTHER: two}) == {("warning", "contradiction", "A_v1")}
    columns = (
        Column(field=Field(("a",)), name="a", kind="string", kinds=("string",)),
        Column(field=Field(("b",)), name="b", kind="float64", kinds=("float64",)),
    )
    built = {"A_v1": DatasetSchema("A_v1", {"A_v1": TableSchema("A_v1", columns)})}
    alone = f"schemas: {{{URL}: A_v1}}"
    assert found(alone, {URL: one}, None, built) == {("warning", "contradiction", "A_v1")}
    assert found(alone, {URL: two}, None, built) == set()


def test_rules_that_match_nothing(found):
    mapping = f"""
schemas: {{{URL}: A_v1}}
forgive:
  good: {{file: a, keyword: required, property: x}}
  deep: {{file: a, keyword: enum}}
  every: {{keyword: required}}
  unknown: {{file: elsewhere, keyword: enum}}
  wrong: {{file: a, keyword: required, property: y}}
  never: {{file: a, keyword: pattern}}
  gone: {{schema: gone, keyword: enum}}
  named: {{schema: {URL}, keyword: enum}}
"""
    schema = {"$id": URL, "allOf": [{"required": ["x"]}, {"properties": {"e": {"enum": [1]}}}]}
    assert found(mapping, {URL: schema}, archive_map([file("a", URL)])) == {
        ("note", "never_matches", "forgive.wrong"),
        ("note", "never_matches", "forgive.never"),
        ("warning", "never_matches", "forgive.gone"),
    }

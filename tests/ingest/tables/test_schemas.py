"""Schemas as values: names, the catalog's JSON, what parts carry, and types that JSON Schemas declare."""

import io
import json

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.ingest import schemas
from tests.support.ingest_tables import assembled, flats, lineage, lineages, written

from carrel.ingest.tables import (
    CatalogEntry,
    ChangeKind,
    Field,
    Flattener,
    TableSchema,
    declared_kinds,
    merge_declared,
    unify,
    write_options,
)
from carrel.ingest.tables.names import RESERVED, child_table, names_of
from carrel.synthetic import truth
from carrel.synthetic.shapes import AUDIO, MOTION, TAPPING, TASK_DATA, WEATHER
from carrel.synthetic.study import DECLARED

parts = st.sampled_from(
    ["a", "A", "a_b", "b", "a.b", "a b", "", "year", "_Index", "é", "x" * 120, "len", "a\0b", "a\1\2b", "\1", "\1\3len"]
)
paths = st.lists(parts, min_size=1, max_size=3).map(tuple)
places = st.builds(Field, paths, st.sampled_from(["", "", "len", "json"]))


@given(st.lists(places, max_size=8, unique=True), st.sets(paths, max_size=3), st.randoms())
@settings(max_examples=150, deadline=None)
def test_names_are_unique_legible_and_those_of_the_truth(fields, declared, rng):
    mixed = rng.sample(fields, len(fields))
    named = names_of(mixed, declared)
    folded = [name.casefold() for name in named.values()]
    assert len(set(folded)) == len(folded) == len(fields)
    assert not RESERVED & set(folded)
    theirs = {(*each.path, *([truth.Derived(each.role)] if each.role else [])): each for each in fields}
    by_path = truth.names_of(list(theirs), dict.fromkeys(declared, ""), {})
    assert named == {theirs[path]: name for path, name in by_path.items()}


def test_a_length_and_a_key_of_that_name_are_apart_when_a_third_has_the_plain_name():
    fields = [Field(("a_b",), "len"), Field(("a.b",), "len"), Field(("a.b", "len"))]
    assert len(set(names_of(fields, ()).values())) == 3


@given(places, places)
def test_fields_are_the_same_when_their_texts_are(one, other):
    assert (one.text == other.text) is (one == other)


def test_names_chosen_to_clash_with_digests_do_not():
    fields = [Field(("a.b",)), Field(("a_b",)), Field((f"a_b_{Field(('a.b',)).digest()}",))]
    named = names_of(fields, ())
    assert len(set(named.values())) == 3
    assert named[fields[0]] == f"a_b_{Field(('a.b',)).digest(16)}"


def test_long_tables_names_stay_short_enough_for_folders():
    name = child_table(child_table("D", ("x" * 90,)), ("y" * 150,))
    assert len(name) < 210
    assert name != child_table(child_table("D", ("x" * 90,)), ("y" * 151,))


VALUE = {"a": 1, "a.b": [1.5], "s": {"t": "x"}, "n": 2**63, "z": None, "y" * 130: True}


def schema_of(value, run_id="run"):
    flattener = Flattener("D", {"D": {("a",): "float64"}})
    flattener.add(lineage("r1"), value)
    return unify(None, [flattener.finish().schema], run_id=run_id)


def test_the_catalog_survives_json():
    schema, changes = schema_of(VALUE)
    entry = CatalogEntry(schema, changes)
    grown = entry.with_changes(*unify(schema, [schema_of({"a": "x", "new": [1]})[0]], run_id="run-2"))
    assert CatalogEntry.from_json(grown.to_json()) == grown
    assert grown.changes[: len(changes)] == changes
    assert len(grown.changes) > len(changes)
    assert CatalogEntry.from_json(grown.to_json()).to_json() == grown.to_json()


def test_a_later_catalog_is_refused():
    text = CatalogEntry(schema_of({"a": 1})[0]).to_json()
    later = json.dumps({**json.loads(text), "format": 2}).encode()
    with pytest.raises(ValueError, match="upgrade Carrel"):
        CatalogEntry.from_json(later)


def test_a_catalog_written_by_the_first_version_opens():
    """Never change this text: it is what warehouses out there hold."""
    text = b"""{"format": 1, "dataset": "D", "changes": [{"what": "widening", "table": "D", "path": ["a"], "role": "",
        "before": "int64", "after": "float64", "run_id": "r"}], "tables": {"D": {"is_child": false, "columns": [
        {"name": "a", "path": ["a"], "role": "", "kind": "float64", "kinds": ["float64", "int64"],
         "declared": null, "since": "r"}]}}}"""
    entry = CatalogEntry.from_json(text)
    assert entry.schema.tables["D"].to_arrow().field("a").type == pa.float64()
    assert entry.changes[0].path == ("a",)


def test_parts_carry_their_schema():
    schema, _ = schema_of(VALUE)
    for name, table in schema.tables.items():
        data = table.to_bytes()
        assert TableSchema.from_bytes(name, data) == table
        assert pa.ipc.read_schema(pa.py_buffer(data)).equals(table.to_arrow(), check_metadata=False)


def test_the_order_of_columns_is_the_described_one():
    schema, _ = schema_of(VALUE)
    before = ["_row_key", "_index", "recordid", "assessmentid", "assessmentrevision", "healthcode", "uploadedon"]
    before += ["exportedon", "year", "month", "day"]
    after = ["_nulls", "_source_file", "_archive_uri", "_archive_etag", "_schema_id", "_run_id"]
    root = schema.tables["D"].to_arrow()
    assert (root.names[:11], root.names[-6:]) == (before, after)
    assert schema.tables["D__a_b"].to_arrow().names[:3] == ["_row_key", "_parent_key", "_index"]
    assert schema.table("D__never").is_child
    assert not schema.table("D").is_child


documents = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, "x"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), documents, max_size=3), min_size=1, max_size=4), st.data())
@settings(max_examples=50, deadline=None)
def test_unified_schemas_do_not_depend_on_order_or_grouping(values, data):
    found = [part.schema for part in flats("D", {}, list(zip(lineages(len(values)), values, strict=True)), 1)]
    whole, _ = unify(None, found)
    mixed = data.draw(st.permutations(found))
    cut = data.draw(st.integers(1, len(mixed)))
    first, _ = unify(None, mixed[:cut])
    assert unify(first, mixed[cut:])[0] == whole
    assert unify(whole, found) == (whole, ())


def test_the_same_input_gives_the_same_bytes():
    files = [(mine, {"b": [1, {"x": 2}], "a": [number]}) for number, mine in enumerate(lineages(5))]
    one, other = assembled("D", {}, files, 5), assembled("D", {}, files, 2)
    assert one.keys() == other.keys()
    for name in one:
        assert written(one[name].combine_chunks()) == written(other[name].combine_chunks())


def test_parquet_files_are_readable_by_all():
    flattener = Flattener("D", {})
    for number, mine in enumerate(lineages(3)):
        flattener.add(mine, {"x": 0.5, "n": None, "l": [number, 2]})
    flat = flattener.finish()
    for name, table in flat.tables.items():
        sink = io.BytesIO()
        pq.write_table(table, sink, **write_options(table.schema))
        data = sink.getvalue()
        assert pq.read_table(io.BytesIO(data)).equals(table)
        assert polars.read_parquet(data).to_arrow().column("_row_key").to_pylist() == table["_row_key"].to_pylist()
        statistics = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0)
        names = [statistics.column(number).path_in_schema for number in range(statistics.num_columns)]
        assert statistics.column(names.index("recordid")).statistics.max == "r2"
        assert statistics.column(names.index("_row_key")).statistics is None
        assert name in ("D", "D__l")


def test_parquet_files_are_readable_by_duckdb(tmp_path):
    flattener = Flattener("D", {})
    flattener.add(lineage("r1"), [{"x": number / 2, "n": None} for number in range(100)])
    table = flattener.finish().tables["D"]
    pq.write_table(table, tmp_path / "d.parquet", **write_options(table.schema))
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT count(DISTINCT _row_key), sum(x), min(_nulls[1]) FROM read_parquet(?)",
            [str(tmp_path / "d.parquet")],
        ).fetchone()
    assert found == (100, 2475.0, "/n")


@pytest.fixture(scope="module")
def documents():
    """$id -> document, of all that the tests have."""
    library = schemas().library
    return {uri: library.document(uri) for uri in library.hashes}


DATASETS = {
    "MotionRecord_v1": MOTION,
    "AudioLevelRecord_v1": AUDIO,
    "WeatherResult_v1": WEATHER,
    "TappingResultObject_v1": TAPPING,
    "sharedSchema_v1": TASK_DATA,
}


@pytest.mark.parametrize("dataset", DATASETS)
def test_schemas_declare_what_was_written_out_by_hand(documents, dataset):
    found = declared_kinds(dataset, documents[DATASETS[dataset]], documents)
    for table, kinds in DECLARED.items():
        if table.split("__")[0] == dataset:
            assert dict(kinds) == {path: found[table].get(path) for path in kinds}


def test_every_schema_can_be_read(documents):
    assert len(documents) > 30
    for document in documents.values():
        for kinds in declared_kinds("D", document, documents).values():
            assert set(kinds.values()) <= {"bool", "int64", "float64", "string"}


X = "https://x.org/d/"
NUMBER = {"type": "number"}


@pytest.mark.parametrize(
    ("schema", "kinds"),
    [
        ({"properties": {"a": {"type": "number"}}}, {"D": {("a",): "float64"}}),
        ({"properties": {"a": {"type": ["integer", "null"]}}}, {"D": {("a",): "int64"}}),
        ({"properties": {"a": {"type": ["integer", "number"]}}}, {"D": {("a",): "float64"}}),
        ({"properties": {"a": {"type": ["integer", "string"]}}}, {}),
        ({"properties": {"a": {"enum": ["x", "y", None]}}}, {"D": {("a",): "string"}}),
        ({"properties": {"a": {"enum": [1, "y"]}}}, {}),
        ({"properties": {"a": {"const": 1.5}}}, {"D": {("a",): "float64"}}),
        ({"properties": {"a": {"const": {"b": 1}}}}, {}),
        ({"properties": {"a": {"anyOf": [{"type": "integer"}, {"type": "number"}]}}}, {"D": {("a",): "float64"}}),
        ({"properties": {"a": {"oneOf": [{"type": "string"}, {"type": "boolean"}]}}}, {}),
        ({"allOf": [{"properties": {"a": {"type": "boolean"}}}, True]}, {"D": {("a",): "bool"}}),
        ({"if": {}, "then": {"properties": {"a": {"type": "string"}}}, "else": False}, {"D": {("a",): "string"}}),
        ({"properties": {"s": {"properties": {"a": {"type": "string"}}}}}, {"D": {("s", "a"): "string"}}),
        ({"properties": {"l": {"items": {"type": "string"}}}}, {"D__l": {("value",): "string"}}),
        ({"properties": {"l": {"items": {"items": {"type": "integer"}}}}}, {"D__l__value": {("value",): "int64"}}),
        ({"properties": {"l": {"items": [{"type": "integer"}, NUMBER]}}}, {"D__l": {("value",): "float64"}}),
        ({"type": "array", "items": {"properties": {"a": {"type": "string"}}}}, {"D": {("a",): "string"}}),
        ({"type": "array"}, {}),
        (True, {}),
        ({"properties": [], "type": 3}, {}),
        ({"properties": {"a": {"$ref": "#/definitions/A"}}, "definitions": {"A": NUMBER}}, {"D": {("a",): "float64"}}),
        ({"properties": {"a": {"$ref": "#A"}}, "definitions": {"B": {"$id": "#A", "type": "string"}}},
         {"D": {("a",): "string"}}),
        ({"properties": {"a": {"$ref": "#/x~1y/0"}}, "x/y": [{"type": "string"}]}, {"D": {("a",): "string"}}),
        ({"properties": {"a": {"$ref": "#/x/9"}}, "x": [{"type": "string"}]}, {}),
        ({"properties": {"a": {"$ref": "#/x/y"}}, "x": 1}, {}),
        ({"properties": {"a": {"$ref": "#nowhere"}}}, {}),
        ({"properties": {"a": {"$ref": "elsewhere.json"}}}, {}),
        ({"properties": {"a": {"$ref": "#/properties/a"}}}, {}),
        ({"$id": f"{X}one.json", "properties": {"a": {"$ref": "two.json#/definitions/T"}}}, {"D": {("a",): "int64"}}),
        ({"$id": f"{X}one.json", "properties": {"a": {"$ref": "two.json"}}}, {"D": {("a", "n"): "string"}}),
        ({"$id": "https://y.org/", "properties": {"s": {"$id": X, "properties": {"a": {"$ref": "two.json"}}}}},
         {"D": {("s", "a", "n"): "string"}}),
    ],
)  # fmt: skip
def test_what_schemas_declare(schema, kinds):
    two = {
        "$id": "https://x.org/d/two.json",
        "definitions": {"T": {"type": "integer"}},
        "properties": {"n": {"type": "string"}},
    }
    assert declared_kinds("D", schema, {two["$id"]: two}) == kinds


def test_recursive_and_enormous_schemas_come_to_an_end():
    node = {"properties": {"name": {"type": "string"}, "kids": {"items": {"$ref": "#"}}, "twin": {"$ref": "#"}}}
    assert declared_kinds("D", node) == {"D": {("name",): "string"}}
    wide = {"type": "string"}
    for _ in range(40):
        wide = {"properties": {"a": dict(wide), "b": dict(wide)}}
    assert declared_kinds("D", wide)


def test_declarations_of_several_versions_are_merged():
    one = {"D": {("a",): "int64", ("b",): "string", ("c",): "bool"}}
    two = {"D": {("a",): "float64", ("b",): "bool"}, "D__l": {("value",): "string"}}
    together = {"D": {("a",): "float64", ("c",): "bool"}, "D__l": {("value",): "string"}}
    assert merge_declared(one, two) == merge_declared(two, one) == together
    assert merge_declared() == {}


@pytest.mark.parametrize("known", [("score",), ("Score",)])
def test_no_newcomer_takes_a_name_from_the_catalog(known):
    """Whoever asks for the column by its name gets what it always held."""
    newcomer = {"score": "Score", "Score": "score"}[known[0]]
    first = flat_of({known[0]: 10})
    catalog, _ = unify(None, [first.schema])
    later, changes = unify(catalog, [flat_of({newcomer: 99}).schema])
    columns = later.tables["D"].by_field
    assert columns[Field(known)].name == known[0]
    assert columns[Field((newcomer,))].name.startswith(f"{newcomer}_")
    assert [each.what for each in changes] == [ChangeKind.NEW_COLUMN]
    declared, _ = unify(catalog, [flat_of({newcomer: 99}, {"D": {(newcomer,): "int64"}}).schema])
    assert declared.tables["D"].by_field[Field((newcomer,))].name == newcomer


def test_a_key_that_is_the_empty_text_has_a_column_that_can_be_asked_for():
    table = flat_of({"": 1, "a": {"": 2}, "b": [{"": 3}]}).tables
    assert duckdb.sql("SELECT _, a__ FROM root", connection=_connected(table)).fetchall() == [(1, 2)]
    assert duckdb.sql("SELECT _ FROM child", connection=_connected(table)).fetchall() == [(3,)]
    names = flat_of({"": 1, "_": 2, "/": 3}).tables["D"].column_names
    assert "_" in names
    assert len({name for name in names if name.startswith("_") and name not in RESERVED}) == 3


def _connected(tables):
    connection = duckdb.connect()
    connection.register("root", tables["D"])
    connection.register("child", tables["D__b"])
    return connection


def flat_of(value, declared=None):
    flattener = Flattener("D", declared or {})
    flattener.add(lineage("r1"), value)
    return flattener.finish()


ROWS = [
    {"c": {"d": None}, "c/d": 1}, {"c/d": None, "c": {"d": 1}}, [None], [{"value": None}], {"e": {}}, {"e{}": None},
    {"e": {"{}": None}}, {"e~2": None}, {"e": None}, {"": None}, {"": {}}, {"~": None}, {"~0": None}, {"~1": None},
    {"/": None}, {"a": {"": None}}, {"a/": None}, {"{}": None}, {"{}": {}}, {"a": {"b": {}}}, {"a/b": {}}, {}, [{}],
]  # fmt: skip


def test_places_of_nulls_are_not_mistaken_for_one_another():
    told = [flat_of(value).tables["D"].column("_nulls").to_pylist() for value in ROWS]
    assert told[:6] == [[["/c/d"]], [["/c~1d"]], [[""]], [["/value"]], [["/e{}"]], [["/e~2"]]]
    distinct = [json.dumps(each) for each, value in zip(told, ROWS, strict=True) if value not in ({}, [{}])]
    assert len(set(distinct)) == len(distinct)
    mixed = flat_of([None, {"a": None}, 5, [None]]).tables
    assert mixed["D"].column("_nulls").to_pylist() == [[""], ["/a"], None, None]
    assert mixed["D__value"].column("_nulls").to_pylist() == [[""]]

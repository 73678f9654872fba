"""Where values of another kind go: evolve, variant, quarantine, freeze; and that batches do not matter."""

import pickle
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.ingest_tables import assembled, cells, flats, lineage, lineages, together

from carrel.ingest.archives import FileRejected
from carrel.ingest.tables import (
    ChangeKind,
    Flattener,
    Policy,
    conform,
    needs_rewrite,
    nonconforming_files,
    unify,
    without_files,
)
from carrel.ingest.tables.reserved_columns import with_dictionaries

LIMIT = 2**53


def flat(value, policy=Policy.EVOLVE, known=None, declared=None, record="r1"):
    flattener = Flattener("D", declared or {}, policy, existing=known)
    flattener.add(lineage(record), value)
    return flattener.finish()


def column(table, name):
    return table.column(name).to_pylist()


def test_a_top_level_scalar_is_rejected():
    with pytest.raises(FileRejected) as caught:
        flat(42)
    assert (caught.value.fault.stage, caught.value.fault.keyword) == ("types", "top_level")


def test_nothing_added_is_no_table_and_an_empty_array_neither():
    assert Flattener("D", {}).finish().tables == {}
    assert flat([]).tables == {}


def test_half_surrogates_reject_their_file_alone():
    flattener = Flattener("D", {})
    for record, value in (("r1", {"a": "\ud800"}), ("r2", {"a": "fine"}), ("r3", {"\udfff": 1}), ("r4", {"a": None})):
        flattener.add(lineage(record), value)
    result = flattener.finish()
    assert column(result.tables["D"], "recordid") == ["r2", "r4"]
    assert [each.lineage.record.record_id for each in result.rejected] == ["r1", "r3"]
    assert {(each.fault.stage, each.fault.keyword) for each in result.rejected} == {("json", "encoding")}


def test_a_key_that_is_no_text_rejects_its_file():
    result = flat({"fine": [{"\ud800": 1}]})
    assert (result.tables, [each.fault.keyword for each in result.rejected]) == ({}, ["encoding"])


def test_variant_keeps_the_kind_and_moves_the_rest():
    values = [1, "x", True, 2.5, None, [1], {"b": 1}, 10**40]
    table = flat([{"a": each} for each in values], Policy.VARIANT).tables["D"]
    assert column(table, "a") == [1.0, None, None, 2.5, None, None, None, None]
    others = [None, '"x"', "true", None, None, None, None, str(10**40)]
    assert column(table, "a_variant") == others
    assert column(table, "a_len")[5] == column(table, "a_b")[6] == 1


def test_variant_keeps_the_declared_kind():
    declared = {"D": {("a",): "string"}}
    table = flat([{"a": 1}, {"a": "x"}, {"a": 1.5}], Policy.VARIANT, declared=declared).tables["D"]
    assert column(table, "a") == [None, "x", None]
    assert column(table, "a_variant") == ["1", None, "1.5"]


def test_variant_keeps_the_catalogs_kind():
    known = flat({"a": "text"}, Policy.VARIANT).schema
    table = flat([{"a": 1}], Policy.VARIANT, known).tables["D"]
    assert (column(table, "a"), column(table, "a_variant")) == ([None], ["1"])


def test_once_there_a_variant_column_stays():
    first = flat([{"a": 1}, {"a": "x"}], Policy.VARIANT).schema
    later, changes = unify(first, [flat({"a": 3}, Policy.VARIANT).schema], Policy.VARIANT)
    assert [each.name for each in later.tables["D"].columns] == ["a", "a_variant"]
    assert changes == ()


@pytest.mark.parametrize("policy", [Policy.VARIANT, Policy.QUARANTINE])
def test_numbers_still_widen(policy):
    known = flat({"a": 1, "b": 1}, policy).schema
    schema, changes = unify(known, [flat({"a": 1.5, "b": 2**63}, policy).schema], policy, "run-2")
    assert [(each.name, each.kind) for each in schema.tables["D"].columns] == [("a", "float64"), ("b", "decimal")]
    assert {each.what for each in changes} == {ChangeKind.WIDENING}


def test_decimals_and_floats_never_mix_under_variant():
    values = [1, 2**63, 0.5]
    table = flat([{"a": each} for each in values], Policy.VARIANT).tables["D"]
    assert column(table, "a") == [1.0, None, 0.5]
    assert column(table, "a_variant") == [None, str(2**63), None]


mixed = st.sampled_from([1, 2, 0.5, 2**63, True, "x", None, "", -1.5])
rows = st.dictionaries(st.sampled_from(["a", "b"]), mixed, max_size=2)


@given(st.lists(st.lists(rows, max_size=3), min_size=1, max_size=4), st.data())
@settings(max_examples=80, deadline=None)
def test_variant_tables_do_not_depend_on_order_or_batches(values, data):
    files = list(zip(lineages(len(values)), values, strict=True))
    one = assembled("D", {}, files, len(files), Policy.VARIANT)
    mine = data.draw(st.permutations(files))
    other = assembled("D", {}, mine, data.draw(st.integers(1, len(files))), Policy.VARIANT)
    assert cells(one) == cells(other)
    kept = [row for _, value in files for row in value]
    found = [row for table in one.values() for row in table.to_pylist()]
    stored = sum(row.get(name) is not None for row in found for name in ("a", "b", "a_variant", "b_variant"))
    assert stored == sum(each is not None for row in kept for each in row.values())


def committed(files, batch, policy):
    """As the engine does: unify, drop every file that some table has no place for, conform."""
    parts = flats("D", {}, files, batch, policy)
    schema, _ = unify(None, [part.schema for part in parts], policy)
    gone = {each.lineage.record.record_id for part in parts for each in part.rejected}
    bad = [
        each
        for part in parts
        for name, table in part.tables.items()
        for each in nonconforming_files(table, part.schema.tables[name], schema.tables[name])
    ]
    cleaned = [
        type(part)({name: without_files(table, bad) for name, table in part.tables.items()}, part.schema)
        for part in parts
    ]
    tables = {name: table for name, table in together(cleaned, schema).items() if table.num_rows}
    return tables, gone | {each.recordid for each in bad}


@given(st.lists(st.lists(rows, max_size=3), min_size=1, max_size=4), st.data())
@settings(max_examples=80, deadline=None)
def test_quarantine_rejects_the_same_files_in_any_order_and_batches(values, data):
    files = list(zip(lineages(len(values)), values, strict=True))
    one, gone = committed(files, len(files), Policy.QUARANTINE)
    mine = data.draw(st.permutations(files))
    other, also_gone = committed(mine, data.draw(st.integers(1, len(files))), Policy.QUARANTINE)
    assert gone == also_gone
    assert cells(one) == cells(other)
    assert {row["recordid"] for table in one.values() for row in table.to_pylist()}.isdisjoint(gone)


def test_quarantine_rejects_the_file_and_says_where():
    flattener = Flattener("D", {}, Policy.QUARANTINE)
    flattener.add(lineage("r1"), {"s": {"a": 1}, "list": [{"x": 1}]})
    flattener.add(lineage("r2"), {"s": {"a": "text"}, "list": [{"x": 2}]})
    result = flattener.finish()
    (rejection,) = result.rejected
    assert rejection.lineage.record.record_id == "r2"
    assert (rejection.fault.stage, rejection.fault.keyword, rejection.fault.pointer) == ("types", "kind", "/s/a")
    assert "text" not in rejection.fault.message
    assert {name: column(table, "recordid") for name, table in result.tables.items()} == {
        "D": ["r1"],
        "D__list": ["r1"],
    }


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ({"a": 1.5}, "/a"),
        ({"a": 2**63}, "/a"),
        ({"a": "x"}, "/a"),
        ({"a": 1, "new": 1}, "/new"),
        ({"a": 1, "list": []}, "/list"),
        ({"a": 1, "s": {"t": {"u": [{}]}}}, "/s/t/u"),
        ([{"a": 1}, {"a": 0.5}], "/a"),
    ],
)
def test_freeze_rejects_widening_new_columns_and_new_tables(value, pointer):
    known = flat({"a": 1}, Policy.FREEZE).schema
    flattener = Flattener("D", {}, Policy.FREEZE, existing=known)
    flattener.add(lineage("bad"), value)
    flattener.add(lineage("good"), [{"a": 7}, {"a": None}])
    result = flattener.finish()
    assert [(each.lineage.record.record_id, each.fault.pointer) for each in result.rejected] == [("bad", pointer)]
    assert column(result.tables["D"], "a") == [7, None]
    assert unify(known, [result.schema], Policy.FREEZE) == (known, ())


def test_freeze_lets_the_first_run_define_the_tables():
    result = flat([{"a": 1}, {"b": 2}], Policy.FREEZE)
    assert not result.rejected
    schema, changes = unify(None, [result.schema], Policy.FREEZE)
    assert [each.name for each in schema.tables["D"].columns] == ["a", "b"]
    assert [each.what for each in changes] == [ChangeKind.NEW_TABLE]


def test_evolve_records_every_kind_of_change():
    first = flat({"keep": 1, "widen": 1, "turn": 1, "a.b": 1, "c.d": 1, "E": 1})
    known, changes = unify(None, [first.schema], run_id="run-1")
    assert [(each.what, each.table, each.run_id) for each in changes] == [(ChangeKind.NEW_TABLE, "D", "run-1")]
    later = flat(
        {"keep": 2, "widen": 1.5, "turn": "x", "a_b": 1, "c_d": 1, "e": 1, "list": [1]},
        declared={"D": {("a_b",): "int64"}},
    )
    after, changes = unify(known, [later.schema], run_id="run-2")
    found = {(each.what, each.table, each.path, each.role, each.before, each.after) for each in changes}
    renamed = after.tables["D"].by_field[("a.b",), ""].name
    newcomers = [after.tables["D"].by_field[(key,), ""].name for key in ("c_d", "e")]
    assert found == {
        (ChangeKind.WIDENING, "D", ("widen",), "", "int64", "float64"),
        (ChangeKind.KIND_CHANGE, "D", ("turn",), "", "int64", "string"),
        *((ChangeKind.NEW_COLUMN, "D", (key,), "", None, "int64") for key in ("a_b", "c_d", "e")),
        (ChangeKind.NEW_COLUMN, "D", ("list",), "len", None, "int64"),
        (ChangeKind.RENAME, "D", ("a.b",), "", "a_b", renamed),
        (ChangeKind.NEW_TABLE, "D__list", (), "", None, None),
    }
    since = {each.name: each.since for each in after.tables["D"].columns}
    assert since == {
        "keep": "run-1", "widen": "run-1", "turn": "run-1", renamed: "run-1", "a_b": "run-2", "list_len": "run-2",
        "c_d": "run-1", "E": "run-1", newcomers[0]: "run-2", newcomers[1]: "run-2",
    }  # fmt: skip
    assert after.tables["D"].by_field[("c.d",), ""].name == "c_d"


def test_a_committed_table_is_brought_into_the_new_schema():
    old = flat([{"i": 1, "f": 1, "d": 5, "b": True, "t": 2.0, "n": 2**63}])
    new = flat([{"f": 0.5, "d": 2**64, "b": "x", "t": "x", "n": "x", "more": 1}], record="r2")
    schema, _ = unify(old.schema, [new.schema])
    want = schema.tables["D"]
    assert needs_rewrite(old.schema.tables["D"], want)
    table = conform(old.tables["D"], old.schema.tables["D"], want)
    assert table.schema == with_dictionaries(want.to_arrow())
    row = table.to_pylist()[0]
    assert {name: row[name] for name in ("i", "f", "d", "b", "t", "n", "more")} == {
        "i": 1, "f": 1.0, "d": Decimal(5), "b": "true", "t": "2", "n": str(2**63), "more": None,
    }  # fmt: skip


def test_new_columns_alone_need_no_rewriting():
    old, new = flat({"a": 1}).schema, flat({"b": 1}).schema
    schema, _ = unify(old, [new])
    assert not needs_rewrite(old.tables["D"], schema.tables["D"])
    assert not needs_rewrite(schema.tables["D"], schema.tables["D"])
    assert needs_rewrite(schema.tables["D"], old.tables["D"])


@pytest.mark.parametrize("long", [LIMIT + 1, -LIMIT - 1, 2**63 - 1, -(2**63)])
def test_integers_too_long_for_floats_are_never_rounded(long):
    table = flat([{"a": long}, {"a": 0.5}]).tables["D"]
    assert column(table, "a") == [str(long), "0.5"]
    old = flat([{"a": long}, {"a": 1}])
    assert old.schema.tables["D"].by_field[("a",), ""].kind == "int64"
    schema, _ = unify(old.schema, [flat({"a": 0.5}).schema])
    assert column(conform(old.tables["D"], old.schema.tables["D"], schema.tables["D"]), "a") == [str(long), "1"]
    assert column(flat([{"a": LIMIT}, {"a": 0.5}, {"a": -LIMIT}]).tables["D"], "a") == [LIMIT, 0.5, -LIMIT]


def test_integers_too_long_for_floats_go_beside_them_under_variant():
    table = flat([{"a": LIMIT + 1}, {"a": 0.5}, {"a": 3}], Policy.VARIANT).tables["D"]
    assert (column(table, "a"), column(table, "a_variant")) == ([None, 0.5, 3.0], [str(LIMIT + 1), None, None])
    old, new = flat([{"a": LIMIT + 1}, {"a": 3}], Policy.VARIANT), flat({"a": 0.5}, Policy.VARIANT)
    schema, _ = unify(None, [old.schema, new.schema], Policy.VARIANT)
    both = [conform(each.tables["D"], each.schema.tables["D"], schema.tables["D"]) for each in (old, new)]
    assert [column(each, "a") for each in both] == [[None, 3.0], [0.5]]
    assert [column(each, "a_variant") for each in both] == [[str(LIMIT + 1), None], [None]]


def test_arrays_too_deep_for_tables_are_text():
    flattener = Flattener("D", {}, max_table_depth=2)
    flattener.add(lineage("r1"), {"a": [{"b": [1, {"ü": None}]}, {"b": None}, {}]})
    table = flattener.finish().tables["D__a"]
    assert column(table, "b_json") == ['[1,{"ü":null}]', None, None]
    assert column(table, "_nulls") == [None, ["/b"], None]


def test_many_keys_that_the_first_rows_do_not_have():
    """Keys are guessed from the first rows; the rest is found by counting."""
    rows = [{"a": number} for number in range(100)] + [{"b": None}, {"c": "x", "a": None}]
    table = flat(rows).tables["D"]
    assert column(table, "a")[99:] == [99, None, None]
    assert column(table, "c")[-1] == "x"
    assert column(table, "_nulls")[99:] == [None, ["/b"], ["/a"]]


def test_large_batches_are_flattened_on_the_way():
    flattener = Flattener("D", {})
    for number in range(5):
        flattener.add(lineage(f"r{number}"), [{"x": index} for index in range(7_000)])
    flattener.add(lineage("last"), [{"x": 0.5}])
    table = flattener.finish().tables["D"]
    assert table.num_rows == 35_001
    assert str(table.schema.field("x").type) == "double"
    assert flattener.finish().tables == {}


def test_values_cross_process_borders():
    result = flat([{"a": 1, "b": [1]}])
    again = pickle.loads(pickle.dumps(result))
    assert (again.schema, cells(again.tables)) == (result.schema, cells(result.tables))


def test_schemas_of_several_datasets_do_not_unify():
    other = Flattener("E", {})
    other.add(lineage("r1"), {})
    with pytest.raises(ValueError, match="one dataset"):
        unify(flat({}).schema, [other.finish().schema])
    with pytest.raises(ValueError, match="not of 0"):
        unify(None, [])


def test_checked_bytes_and_what_the_check_refuses():
    def refuse(value):
        raise FileRejected("schema", "type", "no")

    flattener = Flattener("D", {})
    flattener.add_bytes(lineage("r1"), b'{"a": 1}', lambda value: None)
    flattener.add_bytes(lineage("r2"), b'{"a": 2}')
    with pytest.raises(FileRejected):
        flattener.add_bytes(lineage("r3"), b'{"a": 3}', refuse)
    with pytest.raises(FileRejected):
        flattener.add_bytes(lineage("r4"), b"{")
    assert column(flattener.finish().tables["D"], "a") == [1, 2]


@pytest.mark.parametrize("policy", [Policy.QUARANTINE, Policy.FREEZE])
def test_parts_that_disagree_are_never_conformed_in_silence(policy):
    text, number = flat({"a": "x"}, policy), flat({"a": 1}, policy, record="r2")
    schema, _ = unify(None, [text.schema, number.schema], policy)
    have, want = text.schema.tables["D"], schema.tables["D"]
    with pytest.raises(ValueError, match="nonconforming_files"):
        conform(text.tables["D"], have, want)
    bad = nonconforming_files(text.tables["D"], have, want)
    assert [(each.recordid, each.pointer) for each in bad] == [("r1", "/a")]
    assert conform(without_files(text.tables["D"], bad), have, want).num_rows == 0
    assert without_files(number.tables["D"], ()) is number.tables["D"]


def test_files_of_one_first_frozen_run_that_disagree_are_rejected():
    flattener = Flattener("D", {}, Policy.FREEZE)
    flattener.add(lineage("r1"), {"a": 1})
    flattener.add(lineage("r2"), {"a": "x"})
    result = flattener.finish()
    assert [each.lineage.record.record_id for each in result.rejected] == ["r2"]
    assert [each.name for each in result.schema.tables["D"].columns] == ["a"]


def test_an_object_used_as_a_map_rejects_its_file_alone():
    flattener = Flattener("D", {})
    flattener.add(lineage("r1"), {"a": {str(number): 1 for number in range(1_500)}})
    flattener.add(lineage("r2"), {"a": {"b": [{f"k{number}": 1} for number in range(2_500)]}})
    flattener.add(lineage("r3"), {"a": {f"other{number}": 1 for number in range(1_500)}})
    first, second = flattener.finish_all()
    assert [(each.lineage.record.record_id, each.fault.keyword) for each in first.rejected] == [("r2", "too_many_keys")]
    assert column(first.tables["D"], "recordid") == ["r1"]
    assert column(second.tables["D"], "recordid") == ["r3"]
    assert [len(each.schema.tables["D"].columns) for each in (first, second)] == [1_500, 1_500]
    assert second.rejected == ()


def test_two_exports_of_one_file_are_judged_apart():
    flattener = Flattener("D", {"D": {("a",): "int64"}}, Policy.QUARANTINE)
    first, later = lineage("r1"), replace(lineage("r1"), archive_uri="later.zip")
    flattener.add(first, {"a": "x"})
    flattener.add(later, {"a": 1})
    result = flattener.finish()
    assert [each.lineage for each in result.rejected] == [first]
    assert column(result.tables["D"], "_archive_uri") == ["later.zip"]

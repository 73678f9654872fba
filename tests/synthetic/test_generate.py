"""Synthetic archives: the same knobs give the same bytes, and the truth is what the description of the tables says."""

import json
import zipfile
from decimal import Decimal

import pytest

from carrel.synthetic import FAULTS, SHAPES, Knobs, generate, truth_of, write
from carrel.synthetic.faults import FAULT
from carrel.synthetic.truth import Tables, cast, join, kind_of, names_of

BIG = Knobs(records=60, faults=dict.fromkeys(FAULTS, 1), reexports=0.3, duplicates=0.3, odd_keys=0.5)


def test_the_same_knobs_give_the_same_bytes_and_truth():
    one, other = list(generate(BIG)), list(generate(BIG))
    assert [each.data for each in one] == [each.data for each in other]
    assert truth_of(one) == truth_of(other)
    assert [each.data for each in generate(Knobs(seed=2))] != [each.data for each in generate(Knobs(seed=1))]


def test_versions_of_the_app_take_turns():
    made = list(generate(Knobs(records=6, app_versions=(73, 81))))
    rows = truth_of(made)["tables"]["ArchiveMetadata_v1"]["rows"]
    assert {row["appVersion"] for row in rows} == {"version 1.2 (73)", "version 1.2 (81)"}
    clients = [each.metadata["clientinfo"].replace('"appVersion": ', "appVersion=") for each in made]
    assert ["appVersion=73" in text for text in clients] == [True, False] * 3
    assert ["appVersion=81" in text for text in clients] == [False, True] * 3


def test_every_fault_is_there_and_has_its_outcome():
    assert set(FAULT) == set(FAULTS)
    truth = truth_of(list(generate(BIG)))
    lines = [tuple(line[1:]) for about in truth["archives"].values() for line in about["quarantine"]]
    assert sorted(lines) == sorted(fault.line for fault in FAULT.values() if fault.line)


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_ends_in_tables(shape):
    truth = truth_of(list(generate(Knobs(records=3, shapes={shape: 1}))))
    assert len(truth["tables"]["ArchiveMetadata_v1"]["rows"]) == 3
    assert len(truth["tables"]) > 1


def test_too_many_or_unknown_faults_are_said():
    with pytest.raises(ValueError, match="only 1 records"):
        list(generate(Knobs(records=1, faults={"nan": 2})))
    with pytest.raises(ValueError, match="unknown faults: nonsense"):
        list(generate(Knobs(faults={"nonsense": 1})))


def test_files_on_disk_are_readable_zips_with_sidecars(tmp_path):
    truth = write(Knobs(records=5, withdrawals=1), tmp_path)
    names = sorted(path.stem for path in (tmp_path / "archives").glob("*.zip"))
    assert names == sorted(truth["archives"])
    for name in names:
        metadata = json.loads((tmp_path / "archives" / f"{name}.json").read_text())
        assert metadata["recordid"] == truth["archives"][name]["recordid"]
        assert "metadata.json" in zipfile.ZipFile(tmp_path / "archives" / f"{name}.zip").namelist()
    assert len(json.loads((tmp_path / "withdrawals.json").read_text())) == 1


def test_the_truth_of_a_worked_example():
    """Case J2 of the page, in the native naming."""
    tables = Tables({})
    for number, record in enumerate(("one", "two", "three")):
        inner = {"filename": record, "timestamp": record}
        value = {"recordid": record, "arrayofobjectsfield": [inner], "objectfield": inner}
        tables.add("nested_v1", value, {"recordid": record, "_source_file": f"nested_{number}.json"})
    settled = tables.finish()
    root, child = settled["nested_v1"], settled["nested_v1__arrayofobjectsfield"]
    assert {"arrayofobjectsfield_len", "objectfield_filename", "objectfield_timestamp"} < set(root["columns"])
    assert sorted((row["recordid"], row["filename"], row["_index"]) for row in child["rows"]) == [
        ("one", "one", 0),
        ("three", "three", 0),
        ("two", "two", 0),
    ]
    assert {row["_parent_key"] for row in child["rows"]} == {row["_row_key"] for row in root["rows"]}


def test_null_missing_empty_array_and_empty_object_can_be_told_apart():
    tables = Tables({})
    for number, value in enumerate(({"a": None}, {}, {"a": []}, {"a": {}})):
        tables.add("d", value, {"recordid": str(number), "_source_file": "f"})
    faces = {(row["_nulls"] and tuple(row["_nulls"]), row.get("a_len")) for row in tables.finish()["d"]["rows"]}
    assert faces == {(("/a",), None), (None, None), (None, 0), (("/a{}",), None)}


def test_names_depend_on_the_set_not_on_the_order():
    paths = [("a", "b"), ("a_b",), ("A_B",), ("a.b",), ("recordid",)]
    named = names_of(paths, {}, {})
    assert named == names_of(paths[::-1], {}, {})
    assert len({name.casefold() for name in named.values()}) == len(paths)
    assert named["recordid",] != "recordid"
    assert names_of(paths, {("a.b",): "string"}, {})["a.b",] == "a_b"


def test_who_had_a_name_keeps_it_beside_newcomers():
    newcomers = [("a", "b"), ("a_b",), ("A_B",)]
    assert names_of([*newcomers, ("a.b",)], {}, {})["a.b",] != "a_b"
    assert names_of([*newcomers, ("a.b",)], {}, {("a.b",): "a_b"})["a.b",] == "a_b"


@pytest.mark.parametrize(
    ("one", "other", "kind", "cell"),
    [
        (1, 2, "int64", 1),
        (1, 2.5, "float64", 1.0),
        (1, 2**63, "decimal", Decimal(1)),
        (1, 10**40, "string", "1"),
        (True, 1, "string", "true"),
        (1.5, "x", "string", "1.5"),
        (2**63, 1.5, "string", str(2**63)),
    ],
)
def test_types_join(one, other, kind, cell):
    assert join(kind_of(one), kind_of(other)) == join(kind_of(other), kind_of(one)) == kind
    assert cast(one, kind) == cell
    assert type(cast(one, kind)) is type(cell)

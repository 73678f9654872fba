"""`carrel ingest sql --csv`: every kind of answer is a file that others read."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.support.ingest import Folder, deliver
from tests.support.ingest import ingest as run_ingest

from carrel.ingest.cli import ingest

PROGRAM = Path(sys.executable).parent / "carrel"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    folder = tmp_path_factory.mktemp("answers")
    place = folder / "warehouse"
    for words in (
        ["generate", folder / "study", "--records", 4, "--hz", 1],
        ["schemas", "add", folder / "study/schemas", "--schemas", folder / "schemas"],
        ["run", folder / "study/archives", "--workers", 0, "--warehouse", place, "--schemas", folder / "schemas",
         "--mapping", folder / "study/mapping.yaml"],
    ):  # fmt: skip
        assert CliRunner().invoke(ingest, [str(word) for word in words]).exit_code in (0, 3)
    return place


def answer(warehouse, query):
    done = CliRunner().invoke(ingest, ["sql", query, "--csv", "--warehouse", str(warehouse)])
    assert done.exit_code == 0, done.output
    return list(csv.reader(io.StringIO(done.stdout)))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[1, NULL]::INT[]", "[1,null]"),
        ("NULL::INT[]", ""),
        ("[]::VARCHAR[]", "[]"),
        ("""['a,b', 'say "x"', 'é']""", '["a,b","say \\"x\\"","é"]'),
        ("{'x': 1, 'y': {'z': [1.5]}}", '{"x":1,"y":{"z":[1.5]}}'),
        ("map {'a': 1}", '{"a":1}'),
        ("union_value(k := 3)", '{"k":3}'),
        ("[1, 2]::INT[2]", "[1,2]"),
        ("interval 3 days", "3 days"),
        ("'\\xAAb'::BLOB", "\\xAAb"),
        ("'101'::BIT", "101"),
        ("'10:00:00+02'::TIMETZ", "10:00:00+02"),
        ("170141183460469231731687303715884105727::HUGEINT", "170141183460469231731687303715884105727"),
        ("12345678901234567.89::DECIMAL(19, 2)", "12345678901234567.89"),
        ("DATE '2026-01-31'", "2026-01-31"),
        ("'a\nb'", "a\nb"),
        ("NULL", ""),
        ("true", "true"),
        ("'2b'::ENUM('2b', '!2b')", "2b"),
    ],
)
def test_a_value_of_every_kind(warehouse, value, said):
    assert answer(warehouse, f"SELECT 1 AS n, {value} AS value") == [["n", "value"], ["1", said]]


def test_the_whole_ledger_with_its_counts_and_lists(warehouse):
    columns, *rows = answer(warehouse, "SELECT * FROM ledger ORDER BY archive_uri")
    assert len(rows) == 4
    cells = [dict(zip(columns, row, strict=True)) for row in rows]
    nested = [name for name in columns if cells[0][name].startswith(("[", "{"))]
    assert nested
    assert all(isinstance(json.loads(cell[name]), list | dict) for cell in cells for name in nested)


def test_names_may_be_odd_or_the_same(warehouse):
    assert answer(warehouse, """SELECT 1 AS a, [2] AS a, 3 AS "x ""y\"""") == [["a", "a", 'x "y'], ["1", "[2]", "3"]]


def test_no_rows_are_a_line_of_names(warehouse):
    assert answer(warehouse, "SELECT 1 AS one, [2] AS two WHERE false") == [["one", "two"]]


def test_more_than_a_batch_of_rows(warehouse):
    rows = answer(warehouse, "SELECT range AS n, [range] AS l FROM range(300000)")
    assert len(rows) == 300_001
    assert rows[-1] == ["299999", "[299999]"]


def test_a_reader_that_leaves_is_no_fault_of_the_warehouse(warehouse):
    words = [PROGRAM, "ingest", "sql", "SELECT range FROM range(3000000)", "--csv", "--warehouse", warehouse]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as told:
        assert told.stdout is not None
        assert told.stdout.readline() == b'"range"\n'
        told.stdout.close()
        assert told.stderr is not None
        assert told.stderr.read() == b""
    assert told.returncode == 1


def test_tables_whose_names_differ_in_case_only_are_asked_one_by_one(tmp_path):
    archives, place = tmp_path / "archives", tmp_path / "warehouse"
    archives.mkdir()
    deliver(archives, "1", "record-one", {"items": [1, 2], "Items": [3]})
    run_ingest(place, Folder(archives))
    done = CliRunner().invoke(ingest, ["tables", "--warehouse", str(place), "--json"])
    called = {row["name"]: row["sql"] for row in json.loads(done.stdout)}
    assert called["Anything_v1"] is None
    asked = {name: answer(place, f"SELECT value FROM {called[name]}")[1:] for name in called if called[name]}
    assert asked == {"Anything_v1__items": [["1"], ["2"]], "Anything_v1__Items": [["3"]]}
    refused = CliRunner().invoke(ingest, ["sql", "SELECT * FROM Anything_v1__items", "--warehouse", str(place)])
    assert refused.exit_code == 1
    assert "does not exist" in refused.stderr

"""Dummy data: values of each type, the same by the same seed, as files that readers take."""

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from carrel.catalogue.dummy import DummyError, dummy_rows, write_dummy
from carrel.messages.catalogue import CatalogueColumn, CatalogueTable
from carrel.units.limits import MAX_DUMMY_ROWS

TYPES = {
    "BOOLEAN": "bool",
    "BIT": "bool",
    "INTEGER": "int64",
    "UTINYINT": "int64",
    "int8": "int64",
    "BIGINT": "int64",
    "DOUBLE": "double",
    "DOUBLE PRECISION": "double",
    "DECIMAL(18,3)": "decimal128(18, 2)",
    "NUMERIC(3, 1)": "decimal128(18, 2)",
    "DATE": "date32[day]",
    "TIMESTAMP WITH TIME ZONE": "timestamp[s, tz=UTC]",
    "datetime2(7)": "timestamp[s, tz=UTC]",
    "TIME": "time32[s]",
    "TIME WITHOUT TIME ZONE": "time32[s]",
    "UUID": "string",
    "VARCHAR": "string",
    "NVARCHAR(50)": "string",
    "": "string",
    "VARCHAR[]": "string",
    "STRUCT(a INTEGER)": "string",
    "JSON": "string",
}


def table(*types: str, nullable: bool = True) -> CatalogueTable:
    columns = (CatalogueColumn(name=f"c{at}", type=kind, nullable=nullable) for at, kind in enumerate(types))
    return CatalogueTable(name="t", columns=tuple(columns))


@pytest.mark.parametrize(("kind", "arrow"), TYPES.items())
def test_each_type(kind: str, arrow: str) -> None:
    assert str(dummy_rows(table(kind), 50, 1).schema.types[0]) == arrow


def test_the_same_seed_makes_the_same_rows_and_another_does_not() -> None:
    whole = table(*TYPES)
    assert dummy_rows(whole, 20, 1).equals(dummy_rows(whole, 20, 1))
    assert not dummy_rows(whole, 20, 1).equals(dummy_rows(whole, 20, 2))


def test_only_columns_that_may_be_empty_are() -> None:
    assert dummy_rows(table("INTEGER", nullable=False), 500, 1)["c0"].null_count == 0
    assert 0 < dummy_rows(table("INTEGER"), 500, 1)["c0"].null_count < 100


def test_ids_repeat_as_those_of_people_do() -> None:
    ids = CatalogueTable(name="t", columns=(CatalogueColumn(name="patient_id", type="BIGINT", nullable=False),))
    values = dummy_rows(ids, 300, 1)["patient_id"].to_pylist()
    assert 50 < len(set(values)) <= 100
    assert min(values) >= 1


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "new/folder/a.csv"])
def test_files(tmp_path: Path, name: str) -> None:
    rows = dummy_rows(table("INTEGER", "VARCHAR", "DATE"), 7, 1)
    write_dummy(rows, tmp_path / name)
    read = parquet.read_table(tmp_path / name) if name.endswith("parquet") else csv.read_csv(tmp_path / name)
    assert (read.num_rows, read.column_names) == (7, ["c0", "c1", "c2"])


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DummyError, match=r"a\.xlsx is of no kind that is written"):
        write_dummy(pa.table({}), tmp_path / "a.xlsx")
    with pytest.raises(DummyError, match="lists no columns of t"):
        dummy_rows(table(), 1, 1)
    for rows in (-1, MAX_DUMMY_ROWS + 1):
        with pytest.raises(DummyError, match="not between 0 and 1,000,000"):
            dummy_rows(table("INTEGER"), rows, 1)

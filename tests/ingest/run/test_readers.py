"""Tables are plain Delta tables: whoever reads Delta reads the same, with no Carrel installed and nothing special."""

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from tests.support.ingest import MAPPING, Folder, ingest

from carrel.ingest.operations.compaction import compact
from carrel.ingest.operations.withdrawal import withdraw
from carrel.ingest.store import catalog, open_storage
from carrel.synthetic.shapes import ANYTHING

EXPORTS: list[tuple[str, Any]] = [
    ("r1", {"a": 1, "list": [1, 2], "deep": [{"x": 1, "in": [[1], []]}, None], "b": True}),
    ("r2", {"a": None, "list": [], "s": {"t": "é", "u": {}}}),
    ("r3", {"a": 2, "big": 2**70, "list": None}),
    ("r4", {"a": 2.5, "new": "text"}),  # widens a, and brings a column
    ("r1", {"a": 3, "list": [9]}),  # replaces the first
    ("r5", {"a": 4, "b": "of another kind", "deep": [{"x": 1.5, "y": "z"}]}),
    ("r6", {"A": "as a, but for the case", "odd key.": 1}),  # names that clash
    *((f"more{number}", {"a": number, "list": [number]}) for number in range(16)),  # until the log has a checkpoint
    ("last", {"a": 1, "later": True}),  # a column that no file before it has
]
"""What becomes of a table, one run each: record and its JSON."""
MAPPINGS = {
    "plain": MAPPING,
    "partitioned": MAPPING + "defaults: {partition_by: [assessmentid, year, month]}\n",
}


def grown(folder: Path, warehouse: Path, mapping: str) -> Iterator[str]:
    """A warehouse through all that changes tables; the name of each stage, when it is reached."""
    for number, (record, value) in enumerate(EXPORTS):
        name = export(folder, number, record, value)
        assert ingest(warehouse, Folder(folder, (name,)), mapping=mapping).rows
        if number == 0:
            yield "new"
    yield "grown"
    assert withdraw(str(warehouse), healthcodes=["person-r2"]).rows > 0
    yield "withdrawn"
    assert any(before > after for before, after in compact(str(warehouse)).tables.values())
    yield "compacted"
    compact(str(warehouse), vacuum_hours=0)
    for path in tables(warehouse):
        table = DeltaTable(str(path))
        table.create_checkpoint()
        for commit in (path / "_delta_log").glob("*.json"):
            if int(commit.stem) < table.version():
                commit.unlink()
    yield "shortened"


def export(folder: Path, number: int, record: str, value: Any) -> str:
    """Write an archive of one file, with its record's metadata beside it."""
    name = f"{number:02}-{record}"
    about = {"recordid": record, "healthcode": f"person-{record}", "assessmentid": "any", "assessmentrevision": "1"}
    about |= {
        "uploadedon": f"2024-0{number % 3 + 1}-01T00:00:00.000Z",
        "exportedon": f"2024-05-{number + 1:02}T00:00:00Z",
    }
    (folder / f"{name}.json").write_text(json.dumps(about | {"appid": "mobile-toolbox"}))
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as made:
        made.writestr("metadata.json", json.dumps({"files": [{"filename": "any.json", "jsonSchema": ANYTHING}]}))
        made.writestr("any.json", json.dumps(value))
    return name


def tables(warehouse: Path) -> list[Path]:
    return sorted(path.parent for path in warehouse.glob("tables/*/_delta_log"))


# -- readers; each gives the rows as Arrow


def by_deltalake(path: Path) -> pa.Table:
    return DeltaTable(str(path)).to_pyarrow_table()


def by_polars(path: Path) -> pa.Table:
    return polars.read_delta(str(path)).to_arrow()


def by_duckdb(path: Path) -> pa.Table:
    """Of the files that are listed; a column that came later is null in files before it."""
    with duckdb.connect() as connection:
        listed = connection.read_parquet(DeltaTable(str(path)).file_uris(), union_by_name=True)
        return listed.to_arrow_table()


def by_duckdb_over_arrow(path: Path) -> pa.Table:
    with duckdb.connect() as connection:
        connection.register("rows", DeltaTable(str(path)).to_pyarrow_dataset())
        return connection.sql("SELECT * FROM rows").to_arrow_table()


def by_pandas(path: Path) -> pa.Table:
    frame = DeltaTable(str(path)).to_pandas(types_mapper=pandas.ArrowDtype)
    return pa.Table.from_pandas(frame, preserve_index=False)


def by_pandas_alone(path: Path) -> pa.Table:
    """As somebody does who is given the folder and the list of its files."""
    frames = [pandas.read_parquet(each, dtype_backend="pyarrow") for each in DeltaTable(str(path)).file_uris()]
    return pa.Table.from_pandas(pandas.concat(frames), preserve_index=False)


def by_the_protocol(path: Path) -> pa.Table:
    """By no library for Delta: the log read as its specification says (Delta Transaction Log Protocol, version 1)."""
    parts = [pq.ParquetFile(path / name).read() for name in sorted(active(path))]
    return pa.concat_tables(parts, promote_options="default")


READERS: list[Callable[[Path], pa.Table]] = [
    by_polars, by_duckdb, by_duckdb_over_arrow, by_pandas, by_pandas_alone, by_the_protocol,
]  # fmt: skip


# -- the log


def actions(path: Path) -> Iterator[dict[str, Any]]:
    """Every action since the newest checkpoint, its own first."""
    log = path / "_delta_log"
    start = -1
    if (log / "_last_checkpoint").exists():
        start = json.loads((log / "_last_checkpoint").read_text())["version"]
        for row in pq.ParquetFile(log / f"{start:020}.checkpoint.parquet").read().to_pylist():
            yield {kind: value for kind, value in row.items() if value is not None}
    for commit in sorted(log.glob("*.json")):
        if int(commit.stem) > start:
            yield from map(json.loads, commit.read_text().splitlines())


def active(path: Path) -> set[str]:
    files: set[str] = set()
    for action in actions(path):
        if "add" in action:
            files.add(action["add"]["path"])
        if "remove" in action:
            files.discard(action["remove"]["path"])
    return files


def special(path: Path) -> list[str]:
    """What a reader of version 1 would not know, of all that stands in the log."""
    return [found for action in actions(path) for found in _special(action)]


def _special(action: dict[str, Any]) -> Iterator[str]:
    protocol = action.get("protocol") or {}
    if protocol.get("minReaderVersion", 1) != 1 or protocol.get("readerFeatures"):
        yield f"reader version {protocol}"
    configuration = dict((action.get("metaData") or {}).get("configuration") or {})
    yield from (key for key in configuration if "columnMapping" in key or "eletionVector" in key)
    if any((action.get(kind) or {}).get("deletionVector") for kind in ("add", "remove")):
        yield "deletion vector"
    if not set(action) <= {"add", "remove", "metaData", "protocol", "txn", "commitInfo"}:
        yield str(set(action))


def rows_of(table: pa.Table) -> list[dict[str, Any]]:
    """In the order of the keys; times as they are in UTC."""
    return sorted(table.to_pylist(), key=lambda row: str(row["_row_key"]))


@pytest.fixture(scope="module", params=MAPPINGS)
def stages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Stage -> the warehouse as it was then."""
    root = tmp_path_factory.mktemp(request.param)
    (root / "archives").mkdir()
    names = grown(root / "archives", root / "warehouse", MAPPINGS[request.param])
    return {name: Path(shutil.copytree(root / "warehouse", root / name)) for name in names}


def test_the_walk_went_where_it_was_to_go(stages: Mapping[str, Path]) -> None:
    assert list(stages) == ["new", "grown", "withdrawn", "compacted", "shortened"]
    assert all(len(tables(warehouse)) > 3 for warehouse in stages.values())
    for path in (stages["grown"] / "_ledger", stages["grown"] / "tables/Anything_v1"):
        assert (path / "_delta_log/_last_checkpoint").exists()
    kinds = {change.what.value for change in catalog.load(open_storage(str(stages["grown"])), "Anything_v1").changes}
    assert kinds == {"new_table", "new_column", "widening", "kind_change"}  # a newcomer, as `A`, renames nobody
    for path in tables(stages["shortened"]):
        assert len(list((path / "_delta_log").glob("*.json"))) == 1


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_reads_the_same(reader: Callable[[Path], pa.Table], stages: Mapping[str, Path]) -> None:
    for stage, warehouse in stages.items():
        for path in tables(warehouse):
            wanted = by_deltalake(path)
            if wanted.num_rows:
                got = reader(path)
                assert set(got.column_names) == set(wanted.column_names), (stage, path.name)
                assert rows_of(got.select(wanted.column_names)) == rows_of(wanted), (stage, path.name)


def test_the_log_asks_nothing_special_of_readers(stages: Mapping[str, Path]) -> None:
    """Version 1 of the protocol is what every reader has, Spark's since its first; checkpoints are of that kind."""
    for stage, warehouse in stages.items():
        for path in (log.parent for log in warehouse.glob("**/_delta_log")):
            assert special(path) == [], (stage, path.name)
            assert active(path) == {Path(uri).name for uri in DeltaTable(str(path)).file_uris()}


def test_types_in_files_are_those_of_the_table(stages: Mapping[str, Path]) -> None:
    """What plain Parquet readers rely on: a file that is older than a column lacks it, and that is all."""
    lacking = set()
    for stage, warehouse in stages.items():
        for path in tables(warehouse):
            wanted = types_of(pa.schema(DeltaTable(str(path)).schema().to_arrow()))
            for name in active(path):
                found = types_of(pq.read_schema(path / name))
                assert found == {column: wanted[column] for column in found}, (stage, path.name)
                lacking |= set(wanted) - set(found)
    assert lacking


def types_of(schema: pa.Schema) -> dict[str, str]:
    """Names of lists' elements and of long texts are each library's own."""
    plain = {field.name: str(field.type).replace("large_", "") for field in schema}
    return {name: kind.replace("element: ", "").replace("item: ", "") for name, kind in plain.items()}

"""Spark as a reader of ingest's tables: `python -m benchmarks.ingest.readers [--records N]` (about a minute).

Makes archives, ingests them in several runs (so that columns come late and files differ), and has plain PySpark, with
no Delta library, read the files that the log lists: counts and sums of every table against DuckDB's. Spark's Delta
reader is not tried: its jars come from Maven. What it needs of the log is held by tests/ingest/run/test_readers.py.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import duckdb
from deltalake import DeltaTable

from benchmarks.ingest.extras import Missing, python_for

SPARK = Path(__file__).with_name("with_spark_reader.py")
RUNS = 3

Figures = dict[str, Any]
"""Table -> {"rows": n, "columns": {name: sum, or number of values that are there}}."""


@click.command()
@click.option("--records", default=200, show_default=True, help="How many records to ingest.")
def main(records: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        listed = listed_files(warehouse_of(Path(folder), records))
        ours = {name: figures(files) for name, files in listed.items()}
        theirs = by_spark(Path(folder), listed)
    differing = [name for name in ours if not alike(ours[name], theirs[name])]
    rows, columns = sum(each["rows"] for each in ours.values()), sum(len(each["columns"]) for each in ours.values())
    print(f"{len(ours)} tables of {sum(map(len, listed.values()))} files: {rows:,} rows, {columns} columns compared")
    print("Spark and DuckDB agree on all" if not differing else f"they differ in {', '.join(differing)}")
    sys.exit(bool(differing))


def warehouse_of(folder: Path, records: int) -> Path:
    """A warehouse of several runs."""
    knobs = ["--records", str(records), "--participants", "20", "--hz", "20", "--odd-keys", "0.2", "--reexports", "0.1"]
    carrel("generate", folder / "study", *knobs)
    given = ["--schemas", folder / "store", "--mapping", folder / "study/mapping.yaml"]
    carrel("schemas", "add", folder / "study/schemas", *given[:2])
    archives = sorted((folder / "study/archives").glob("*.zip"))
    for number in range(RUNS):
        part = folder / f"part{number}"
        part.mkdir()
        for archive in archives[number::RUNS]:
            for path in (archive, archive.with_suffix(".json")):
                (part / path.name).symlink_to(path)
        carrel("run", part, "--warehouse", folder / "warehouse", *given)
    return folder / "warehouse"


def carrel(*words: str | Path) -> None:
    """As a person ingests; 3: some files are in quarantine, which is no matter here."""
    done = subprocess.run([Path(sys.executable).with_name("carrel"), "ingest", *words], capture_output=True, text=True)
    if done.returncode not in (0, 3):
        raise SystemExit(f"carrel ingest {words[0]} failed:\n{done.stderr}")


def listed_files(warehouse: Path) -> dict[str, list[str]]:
    """Table -> the files of its present version; only of tables that have rows."""
    found = {path.name: DeltaTable(str(path)) for path in sorted((warehouse / "tables").iterdir())}
    return {name: table.file_uris() for name, table in found.items() if table.to_pyarrow_dataset().count_rows()}


def figures(files: list[str]) -> Figures:
    """By DuckDB: the sum of each column of numbers, and of every other how many values are there."""
    with duckdb.connect() as connection:
        rows = connection.read_parquet(files, union_by_name=True)
        kinds = dict(zip(rows.columns, map(str, rows.types), strict=True))
        quoted = {name: '"' + name.replace('"', '""') + '"' for name in kinds}
        sums = [
            f"sum({quoted[name]}::double)" if is_number(kind) else f"count({quoted[name]})"
            for name, kind in kinds.items()
        ]
        [values] = rows.aggregate(", ".join(["count(*)", *sums])).fetchall()
    return {"rows": values[0], "columns": dict(zip(kinds, values[1:], strict=True))}


def is_number(kind: str) -> bool:
    return kind.startswith(("INTEGER", "BIGINT", "DOUBLE", "DECIMAL"))


def by_spark(folder: Path, listed: dict[str, list[str]]) -> dict[str, Figures]:
    """The same by PySpark, in its own Python."""
    (folder / "listed.json").write_text(json.dumps(listed))
    subprocess.run([python_for("pyspark"), SPARK, folder / "listed.json", folder / "figures.json"], check=True)
    found: dict[str, Figures] = json.loads((folder / "figures.json").read_text())
    return found


def alike(ours: Figures, theirs: Figures) -> bool:
    """Equal, but for the order in which floating-point numbers are added."""
    names = ours["columns"].keys() == theirs["columns"].keys()
    pairs = [(ours["columns"][name], theirs["columns"].get(name)) for name in ours["columns"]]
    return bool(names and ours["rows"] == theirs["rows"] and all(_near(one, other) for one, other in pairs))


def _near(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= 1e-9 * max(1.0, abs(one), abs(other))


if __name__ == "__main__":
    try:
        main()
    except Missing as missing:
        sys.exit(str(missing))

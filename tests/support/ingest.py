"""Helpers for tests of whole ingests: a folder of archives as a source, the shared schemas, warehouses as values."""

import hashlib
import json
import os
import signal
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from tests.support.ingest_tables import cells

from carrel.ingest.mapping import loads
from carrel.ingest.operations.ingestion import run
from carrel.ingest.run import IngestOptions, Pool, Report, Setting, inline
from carrel.ingest.schemas import Schemas, SchemaStore
from carrel.ingest.sources import OpenedArchive
from carrel.ingest.store import LEDGER, QUARANTINE, WarehouseStorage, open_storage, open_table, table_key, table_names
from carrel.ingest.store.ledger import Ledger
from carrel.ingest.values import ArchiveRef
from carrel.synthetic import SCHEMAS
from carrel.synthetic.shapes import ANYTHING, TASK_DATA

DOCUMENTS = Path(__file__).parents[1] / "data" / "documents"
"""An archive map and schemas of our own with all that published ones have: several revisions of an assessment, apps,
older versions of schemas, references between them, recursion, every draft, the spellings of iOS and Android."""

MAPPING = f"schemas:\n  {TASK_DATA}: sharedSchema_v1\n  {ANYTHING}: Anything_v1\n"


@dataclass(frozen=True)
class Folder:
    """Zips with sidecars, as the generator writes them; in the order of `names`, or sorted."""

    path: Path
    names: tuple[str, ...] | None = None

    def list(self) -> Iterator[ArchiveRef]:
        names = self.names if self.names is not None else sorted(each.stem for each in self.path.glob("*.zip"))
        for name in names:
            data = (self.path / f"{name}.zip").read_bytes()
            etag = hashlib.sha256(data + self._sidecar(name)).hexdigest()[:16]
            yield ArchiveRef(f"folder:{name}.zip", etag, len(data))

    def _sidecar(self, name: str) -> bytes:
        return (self.path / f"{name}.json").read_bytes()

    @contextmanager
    def open(self, ref: ArchiveRef) -> Iterator[OpenedArchive]:
        name = ref.uri.removeprefix("folder:").removesuffix(".zip")
        yield OpenedArchive((self.path / f"{name}.zip").read_bytes(), json.loads(self._sidecar(name)))

    def acknowledge(self, refs: Iterable[ArchiveRef]) -> None: ...

    def problems(self) -> tuple[()]:
        return ()

    def __enter__(self) -> "Folder":
        return self

    def __exit__(self, *details: object) -> None: ...


def deliver(folder: Path, name: str, record: str, value: Any, day: int = 1) -> None:
    """Put an archive of one file of dataset Anything_v1 into a folder."""
    about = {
        "recordid": record, "assessmentid": "any", "assessmentrevision": "1", "appid": "mobile-toolbox",
        "healthcode": f"of {record}", "uploadedon": "2024-01-01T00:00:00.000Z",
        "exportedon": f"2024-01-{day:02d}T00:00:00.000Z",
    }  # fmt: skip
    (folder / f"{name}.json").write_text(json.dumps(about))
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as made:
        told = [{"filename": "anything.json", "jsonSchema": ANYTHING}]
        made.writestr("metadata.json", json.dumps({"files": told}))
        made.writestr("anything.json", json.dumps(value))


@dataclass(frozen=True)
class Deadly(Folder):
    """Opening the archive `victim` kills the worker: the first time, or every time."""

    victim: str = ""
    marker: Path | None = None

    @contextmanager
    def open(self, ref):
        if self.victim in ref.uri and (self.marker is None or not self.marker.exists()):
            if self.marker:
                self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        with super().open(ref) as fetched:
            yield fetched


def documents() -> list[Path]:
    """Those of the tests, and the generator's schemas: the documents of one store, which has one archive map."""
    return [DOCUMENTS, *(path for path in SCHEMAS.rglob("*.json") if path.name != "archive-map.json")]


@cache
def schemas(mapping: str = MAPPING) -> Schemas:
    """All documents, with a mapping that knows the generator's."""
    store = SchemaStore(Path(tempfile.mkdtemp(prefix="carrel-test-schemas-")))
    store.add(documents())
    return Schemas(loads(mapping), store.library())


def ingest(
    warehouse: Path | str,
    source: Any,
    pool: Pool | None = None,
    options: IngestOptions | None = None,
    mapping: str = MAPPING,
) -> Report:
    """One run."""
    return run(
        Setting(
            warehouse=str(warehouse),
            source=source,
            schemas=schemas(mapping),
            pool=pool or inline(),
            options=options or IngestOptions(),
        )
    )


def tables_of(warehouse: Path | str) -> dict[str, pa.Table]:
    """Every table that has rows, columns in the order of the description."""
    storage = open_storage(str(warehouse))
    found = {name: pa.table(_read(storage, name)) for name in table_names(storage)}
    return {name: _ordered(table) for name, table in found.items() if table.num_rows}


def _read(storage: WarehouseStorage, name: str) -> pa.Table:
    """By deltalake alone, as somebody without Carrel reads it."""
    return DeltaTable(storage.uri(table_key(name)), storage_options=storage.delta_options()).to_pyarrow_table()


def _ordered(table: pa.Table) -> pa.Table:
    from carrel.ingest.tables.names import AFTER, BEFORE

    before = [name for name in BEFORE if name in table.column_names]
    data = sorted(name for name in table.column_names if name not in BEFORE and name not in AFTER)
    return table.select([*before, *data, *AFTER])


def state_of(warehouse: Path | str) -> dict[str, Any]:
    """All that two warehouses of the same archives must share: cells, ledger, quarantine, schemas; not run ids."""
    storage = open_storage(str(warehouse))
    return {
        "tables": cells(tables_of(warehouse)),
        "ledger": ledger_of(warehouse),
        "quarantine": quarantine_of(warehouse),
        "catalog": {key: _schema(storage.read(key)) for key in sorted(storage.keys("catalog/"))},
        "raw_json": raw_json_of(warehouse),
    }


def raw_json_of(warehouse: Path | str) -> dict[str, Any]:
    """key -> the value of its one line. The ledger must name exactly these."""
    storage = open_storage(str(warehouse))
    keys = [key for key in sorted(storage.keys("raw_json/")) if key.endswith(".ndjson")]
    found = {key.removeprefix("raw_json/"): _one_line(storage.read(key) or b"") for key in keys}
    told = [key for line in Ledger(storage).lines() for key in line.raw]
    assert set(found) <= set(told)
    return found


def _one_line(data: bytes) -> Any:
    (line,) = data.splitlines()
    return json.loads(line)


def _schema(data: bytes | None) -> Any:
    tables = json.loads(data or b"")["tables"]
    for table in tables.values():
        for column in table["columns"]:
            del column["since"]
    return tables


def ledger_of(warehouse: Path | str) -> list[Any]:
    """Lines without run ids, sorted."""
    lines = Ledger(open_storage(str(warehouse))).lines()
    return sorted(
        (
            line.entry.archive_uri,
            line.entry.archive_etag,
            line.entry.record_id,
            line.entry.disposition.value,
            line.entry.content_hash,
            str(line.entry.exported_on),
            sorted(line.entry.rows.items()),
            line.entry.skipped,
        )
        for line in lines
    )


def quarantine_of(warehouse: Path | str) -> list[dict[str, Any]]:
    """Lines without run ids, sorted."""
    storage = open_storage(str(warehouse))
    if open_table(storage, QUARANTINE) is None:
        return []
    rows = _read(storage, QUARANTINE).drop_columns(["_run_id"]).to_pylist()
    return sorted(rows, key=lambda row: (row["archive_uri"], row["source_file"] or ""))


def dispositions_of(warehouse: Path | str) -> dict[str, str]:
    """archive name -> what became of it."""
    return {line[0].removeprefix("folder:").removesuffix(".zip"): line[3] for line in ledger_of(warehouse)}


def quarantined(warehouse: Path | str) -> dict[str, list[list[str | None]]]:
    """archive name -> [source file, stage, keyword] of each line, sorted."""
    found: dict[str, list[list[str | None]]] = {}
    for row in quarantine_of(warehouse):
        name = row["archive_uri"].removeprefix("folder:").removesuffix(".zip")
        found.setdefault(name, []).append([row["source_file"], row["stage"], row["keyword"]])
    return found


def expected(truth: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, list[list[str | None]]]]:
    """Dispositions and quarantine lines of the truth, in the form of the two above."""
    archives = truth["archives"]
    lines = {name: [list(line) for line in about["quarantine"]] for name, about in archives.items()}
    return {name: about["disposition"] for name, about in archives.items()}, {k: v for k, v in lines.items() if v}


__all__ = [
    "DOCUMENTS",
    "LEDGER",
    "Folder",
    "dispositions_of",
    "documents",
    "expected",
    "ingest",
    "ledger_of",
    "quarantine_of",
    "quarantined",
    "schemas",
    "state_of",
    "tables_of",
]

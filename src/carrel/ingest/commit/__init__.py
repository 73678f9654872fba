"""Making a run visible: data files, the plan, one atomic commit per table; and where a warehouse lives."""

from carrel.ingest.commit.delta import (
    ActiveFile,
    TableCommit,
    active_files,
    existing,
    holding,
    holds,
    schema_bytes,
    vacuum,
)
from carrel.ingest.commit.files import PARTITION_COLUMNS, DataFile, FileWriter, blocks, opened, rewritten, write_file
from carrel.ingest.commit.layout import ARCHIVE, LEDGER, QUARANTINE, TABLES, run_key, table_key
from carrel.ingest.commit.lock import WarehouseBusy, coordinator_lock
from carrel.ingest.commit.plan import (
    Plan,
    RunNumber,
    all_tables,
    apply,
    begin,
    decide,
    finish,
    recover,
    table_names,
    undoable,
)
from carrel.ingest.commit.storage import LocalStorage, S3Storage, Storage, open_storage

__all__ = [
    "ARCHIVE",
    "LEDGER",
    "PARTITION_COLUMNS",
    "QUARANTINE",
    "TABLES",
    "ActiveFile",
    "DataFile",
    "FileWriter",
    "LocalStorage",
    "Plan",
    "RunNumber",
    "S3Storage",
    "Storage",
    "TableCommit",
    "WarehouseBusy",
    "active_files",
    "all_tables",
    "apply",
    "begin",
    "blocks",
    "coordinator_lock",
    "decide",
    "existing",
    "finish",
    "holding",
    "holds",
    "open_storage",
    "opened",
    "recover",
    "rewritten",
    "run_key",
    "schema_bytes",
    "table_key",
    "table_names",
    "undoable",
    "vacuum",
    "write_file",
]

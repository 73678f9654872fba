"""Making a run visible: data files, the plan, one atomic commit per table; and where a warehouse lives."""

from carrel.ingest.commit.delta import (
    ActiveFile,
    TableCommit,
    active_files,
    existing,
    schema_bytes,
    vacuum,
    view_of,
)
from carrel.ingest.commit.files import (
    PARTITION_COLUMNS,
    ROW_GROUP,
    DataFile,
    FileWriter,
    blocks,
    opened,
    plain,
    rewritten,
    write_file,
)
from carrel.ingest.commit.layout import ARCHIVE, LEDGER, QUARANTINE, TABLES, run_key, table_key
from carrel.ingest.commit.lock import WarehouseBusy, WarehouseLost, coordinator_lock, ensure_held, is_held
from carrel.ingest.commit.opening import open_storage
from carrel.ingest.commit.places import WarehouseFault
from carrel.ingest.commit.plan import (
    Plan,
    RunNumber,
    all_tables,
    apply,
    begin,
    decide,
    ensure_ours,
    finish,
    recover,
    table_names,
    undoable,
)
from carrel.ingest.commit.reading import dataset_of, whole
from carrel.ingest.commit.sought import Sought
from carrel.ingest.commit.storage import LocalStorage, Storage

__all__ = [
    "ARCHIVE",
    "LEDGER",
    "PARTITION_COLUMNS",
    "QUARANTINE",
    "ROW_GROUP",
    "TABLES",
    "ActiveFile",
    "DataFile",
    "FileWriter",
    "LocalStorage",
    "Plan",
    "RunNumber",
    "Sought",
    "Storage",
    "TableCommit",
    "WarehouseBusy",
    "WarehouseFault",
    "WarehouseLost",
    "active_files",
    "all_tables",
    "apply",
    "begin",
    "blocks",
    "coordinator_lock",
    "dataset_of",
    "decide",
    "ensure_held",
    "ensure_ours",
    "existing",
    "finish",
    "is_held",
    "open_storage",
    "opened",
    "plain",
    "recover",
    "rewritten",
    "run_key",
    "schema_bytes",
    "table_key",
    "table_names",
    "undoable",
    "vacuum",
    "view_of",
    "whole",
    "write_file",
]

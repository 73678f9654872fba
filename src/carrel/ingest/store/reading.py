"""A Delta table as an Arrow dataset: the one way in which tables, ledger and quarantine are read."""

from typing import TYPE_CHECKING

from carrel.ingest.store.delta import existing
from carrel.ingest.store.storage import Storage
from carrel.warehouse.layout import table_key

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds
    from deltalake import DeltaTable


def dataset_of(storage: Storage, name: str, table: "DeltaTable | None" = None) -> "ds.Dataset | None":
    """Table `name` as it is now (or as `table`, one version of it, is); None when there is none."""
    table = table or existing(storage, name)
    return table.to_pyarrow_dataset(filesystem=storage.arrow(table_key(name))) if table is not None else None


def whole(storage: Storage, name: str) -> "pa.Table | None":
    """All rows of table `name`, in memory."""
    dataset = dataset_of(storage, name)
    return dataset.to_table() if dataset is not None else None

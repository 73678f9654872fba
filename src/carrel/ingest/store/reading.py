"""A Delta table as an Arrow dataset: the one way in which tables, ledger and quarantine are read."""

from typing import TYPE_CHECKING

from carrel.ingest.store.delta import open_table
from carrel.ingest.store.storage import WarehouseStorage
from carrel.warehouse.layout import table_key

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds
    from deltalake import DeltaTable


def open_dataset(storage: WarehouseStorage, name: str, table: "DeltaTable | None" = None) -> "ds.Dataset | None":
    """Table `name` as it is now (or as `table`, one version of it, is); None when there is none."""
    table = table or open_table(storage, name)
    return table.to_pyarrow_dataset(filesystem=storage.arrow(table_key(name))) if table is not None else None


def read_table(storage: WarehouseStorage, name: str) -> "pa.Table | None":
    """Read all rows of table `name` into memory; None when there is no such table."""
    dataset = open_dataset(storage, name)
    return dataset.to_table() if dataset is not None else None

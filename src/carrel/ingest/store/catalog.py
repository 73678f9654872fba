"""`<warehouse>/catalog/<dataset>.json`: one entry per dataset version. Written when a plan is applied."""

from collections.abc import Iterable

from carrel.ingest.store import WarehouseStorage
from carrel.ingest.tables import CatalogEntry
from carrel.warehouse.layout import CATALOG, catalog_key


def load(storage: WarehouseStorage, dataset: str) -> CatalogEntry | None:
    """The entry of `dataset`, if it has been built."""
    data = storage.read(catalog_key(dataset))
    return CatalogEntry.from_json(data) if data is not None else None


def load_all(storage: WarehouseStorage, datasets: Iterable[str] | None = None) -> dict[str, CatalogEntry]:
    """Entries by dataset: of `datasets` that have one, or of all."""
    if datasets is None:
        files = [key.rsplit("/", 1)[-1] for key in storage.keys(f"{CATALOG}/")]
        datasets = [name.removesuffix(".json") for name in files if name.endswith(".json") and name[0] != "."]
    entries = {dataset: load(storage, dataset) for dataset in sorted(datasets)}
    return {dataset: entry for dataset, entry in entries.items() if entry is not None}

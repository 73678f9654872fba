"""From the address of a warehouse to its place."""

from carrel.ingest.store.addresses import Bucket, place_of
from carrel.ingest.store.storage import LocalStorage, WarehouseStorage


def open_storage(url: str) -> WarehouseStorage:
    """The storage at `url`: `s3://bucket/prefix`, or a folder (also as `file://` or `delta://` URL).

    Looks at the address alone. WarehouseFault when it is none.
    """
    address = place_of(url)
    if isinstance(address, Bucket):
        from carrel.ingest.store.s3_storage import S3Storage

        return S3Storage(address)
    return LocalStorage(address)

"""Which schema a file has, and whether the file keeps to it; all from an offline store."""

from carrel.ingest.schemas.checker import Checker
from carrel.ingest.schemas.factory import Schemas
from carrel.ingest.schemas.incoming import StoredDocument, StoreFault
from carrel.ingest.schemas.library import Library
from carrel.ingest.schemas.resolver import Resolver, described_schemas
from carrel.ingest.schemas.store import SchemaStore

__all__ = [
    "Checker",
    "Library",
    "Resolver",
    "SchemaStore",
    "Schemas",
    "StoreFault",
    "StoredDocument",
    "described_schemas",
]

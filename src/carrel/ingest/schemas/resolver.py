"""Which dataset and schema a file of a record has: ingest.md section 1.3, steps 3a to 3d and 5."""

from collections.abc import Mapping as AbstractMapping
from typing import Any

from carrel.ingest.mapping.model import Mapping
from carrel.ingest.schemas.library import Library
from carrel.ingest.values import Record, Resolution


def described(metadata: Any) -> dict[str, str]:
    """file name -> URL of its schema, as the root `metadata.json` of an archive (its JSON value) says; never raises."""
    raise NotImplementedError


class Resolver:
    """Looks up by the mapping, the archive map and the schemas of the library."""

    def __init__(self, mapping: Mapping, library: Library):
        self.mapping = mapping
        self.library = library

    def resolve(self, record: Record, path: str, described: AbstractMapping[str, str] | None = None) -> Resolution:
        """What the entry `path` of the record's archive is. `described`: see `described()` of its metadata.json.

        `fault` set: quarantine the file. Else `dataset` None: skip it (`reason` for the ledger). Else `schema_hash`
        None: legacy, not validated. Else: check it.
        """
        raise NotImplementedError

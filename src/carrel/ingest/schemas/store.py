"""A folder of schemas, content-hashed, so that a run never needs the network.

    <folder>/index.json            {"version": 1, "archive_map": sha | null, "schemas": {uri: sha}}
    <folder>/documents/<sha256>.json   the bytes exactly as they were fetched

A schema is indexed by its absolute `$id` and by every URL it was fetched from.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carrel.ingest.mapping.model import ArchiveMapSource


class StoreFault(Exception):
    """The store, or a document for it, cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One document that `add` or `pull` looked at. `change`: added, changed or unchanged."""

    uri: str
    sha256: str
    change: str


class SchemaStore:
    """The store in `folder`; made when first written to."""

    def __init__(self, folder: Path):
        self.folder = folder

    def add(self, paths: Iterable[Path], url: str | None = None) -> list[Stored]:
        """Take files (or every *.json under folders). An archive map among them becomes the store's archive map.

        `url`: where the one file comes from, for a schema without an absolute `$id`. Raises StoreFault; then nothing
        was added.
        """
        raise NotImplementedError

    def pull(self, source: ArchiveMapSource, base: Path | None = None) -> list[Stored]:
        """Fetch the archive map and every schema it names, relative `$ref`s followed. All or nothing."""
        raise NotImplementedError

    def library(self) -> "Any":
        """An immutable, picklable `Library` of what is in the store now (empty when the folder is not there)."""
        raise NotImplementedError

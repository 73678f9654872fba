"""What a run takes with it of the store: immutable, picklable, the same on every machine."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from carrel.ingest.uris import plain_uri

if TYPE_CHECKING:
    from carrel.ingest.schemas.archive_map import ArchiveMapDocument


@dataclass(frozen=True)
class Library:
    """Documents of the store by URI. Two libraries of one `digest` have the same content."""

    texts: dict[str, bytes] = field(default_factory=dict, repr=False)
    """sha256 -> the document's bytes"""
    hashes: dict[str, str] = field(default_factory=dict, repr=False)
    """URI (`$id` or URL, without fragment) -> sha256"""
    archive_map_hash: str | None = None
    digest: str = ""

    def __contains__(self, uri: str) -> bool:
        return plain_uri(uri) in self.hashes

    def hash_of(self, uri: str) -> str:
        """sha256 of the stored bytes; KeyError when the schema is not in the store."""
        return self.hashes[plain_uri(uri)]

    def document(self, uri: str) -> dict[str, Any]:
        """The parsed schema (do not change it) with this `$id` or URL; KeyError when it is not in the store."""
        return self._parse(self.hash_of(uri))

    def registry(self) -> dict[str, dict[str, Any]]:
        """Every document by URI, for whoever follows `$ref`s."""
        return {uri: self._parse(sha) for uri, sha in self.hashes.items()}

    def archive_map(self) -> "ArchiveMapDocument | None":
        """The store's archive map; None when it has none."""
        from carrel.ingest.schemas.archive_map import parse_archive_map

        return None if self.archive_map_hash is None else parse_archive_map(self._parse(self.archive_map_hash))

    def _parse(self, sha: str) -> dict[str, Any]:
        if sha not in self._documents:
            self._documents[sha] = json.loads(self.texts[sha])
        return self._documents[sha]

    @cached_property
    def _documents(self) -> dict[str, dict[str, Any]]:
        return {}

    def __getstate__(self) -> dict[str, Any]:
        # What was parsed is not sent to workers: they parse what they need.
        return {key: value for key, value in self.__dict__.items() if key != "_documents"}

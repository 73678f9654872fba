"""What a run takes with it of the store: immutable, picklable, the same on every machine."""

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from carrel.ingest.mapping.model import Mapping

if TYPE_CHECKING:
    from carrel.ingest.schemas.archive_map import ArchiveMapDocument
    from carrel.ingest.schemas.checker import Checker
    from carrel.ingest.schemas.resolver import Resolver


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
        return self._parsed(self.hash_of(uri))

    def registry(self) -> dict[str, dict[str, Any]]:
        """Every document by URI, for whoever follows `$ref`s."""
        return {uri: self._parsed(sha) for uri, sha in self.hashes.items()}

    def archive_map(self) -> "ArchiveMapDocument | None":
        """The store's archive map; None when it has none."""
        from carrel.ingest.schemas.archive_map import parse_archive_map

        return None if self.archive_map_hash is None else parse_archive_map(self._parsed(self.archive_map_hash))

    def _parsed(self, sha: str) -> dict[str, Any]:
        if sha not in self._documents:
            self._documents[sha] = json.loads(self.texts[sha])
        return self._documents[sha]

    @cached_property
    def _documents(self) -> dict[str, dict[str, Any]]:
        return {}

    def __getstate__(self) -> dict[str, Any]:
        # What was parsed is not sent to workers: they parse what they need.
        return {key: value for key, value in self.__dict__.items() if key != "_documents"}


def plain_uri(uri: str) -> str:
    """A URI without its fragment: what a document is known by."""
    return uri.partition("#")[0]


@dataclass(frozen=True, slots=True)
class Schemas:
    """The picklable factory for workers: it crosses the process border, and each process makes (and keeps) its own
    resolver and checker.
    """

    mapping: Mapping
    library: Library = field(repr=False)

    def resolver(self) -> "Resolver":
        """This process's resolver."""
        from carrel.ingest.schemas.resolver import Resolver

        kept = _kept(self)
        if kept.resolver is None:
            kept.resolver = Resolver(self.mapping, self.library)
        return kept.resolver

    def checker(self) -> "Checker":
        """This process's checker; schemas are compiled when first used, once per process."""
        from carrel.ingest.schemas.checker import Checker

        kept = _kept(self)
        if kept.checker is None:
            kept.checker = Checker(self.mapping, self.library)
        return kept.checker


@dataclass(slots=True)
class _Kept:
    mapping: Mapping
    resolver: "Resolver | None" = None
    checker: "Checker | None" = None


_MAX_KEPT = 4
_per_process: "OrderedDict[str, list[_Kept]]" = OrderedDict()


def _kept(schemas: Schemas) -> _Kept:
    """What this process made for these schemas before. A few are kept, so that a long-lived worker does not grow."""
    mates = _per_process.setdefault(schemas.library.digest, [])
    _per_process.move_to_end(schemas.library.digest)
    for each in mates:
        if each.mapping == schemas.mapping:
            return each
    mates.append(_Kept(schemas.mapping))
    del mates[:-_MAX_KEPT]
    while len(_per_process) > _MAX_KEPT:
        _per_process.popitem(last=False)
    return mates[-1]

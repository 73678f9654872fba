"""What a run takes with it of the store: immutable, picklable, the same on every machine."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from carrel.ingest.mapping.model import Mapping

if TYPE_CHECKING:
    from carrel.ingest.schemas.checker import Checker
    from carrel.ingest.schemas.resolver import Resolver


@dataclass(frozen=True, slots=True)
class Library:
    """Documents by URI as JSON text, and the archive map. `digest` names the content."""

    texts: dict[str, bytes]
    hashes: dict[str, str]
    """URI -> sha256 of the stored bytes."""
    archive_map: dict[str, Any] | None = None
    digest: str = ""

    def document(self, uri: str) -> dict[str, Any]:
        """The parsed schema (do not change it) with this `$id` or URL; KeyError when it is not in the store."""
        raise NotImplementedError

    def registry(self) -> dict[str, dict[str, Any]]:
        """Every document by URI, for whoever follows `$ref`s."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Schemas:
    """The picklable factory for workers: `Schemas(mapping, library)` crosses the process border, and each process makes
    (and keeps) its own resolver and checker.
    """

    mapping: Mapping
    library: Library = field(repr=False)

    def resolver(self) -> "Resolver":
        """This process's resolver."""
        raise NotImplementedError

    def checker(self) -> "Checker":
        """This process's checker; schemas are compiled when first used, once per process."""
        raise NotImplementedError

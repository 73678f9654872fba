"""What every source of archives offers: list, open, acknowledge."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

from carrel.ingest.values import ArchiveRef, Fault

IN_MEMORY = 32_000_000
"""Archives up to so many bytes are held in memory; larger ones in a file."""


class ArchiveChanged(Exception):
    """The archive is not what was listed any more (changed, being written, or gone): leave it for the next run."""


@dataclass(frozen=True, slots=True)
class OpenedArchive:
    """An archive that was opened. `data`: its bytes, or a file of them that lives as long as the context."""

    data: bytes | Path
    metadata: Mapping[str, Any] | None
    """The record's metadata as the source keeps it; None: it can only be in the archive's own metadata.json."""


@dataclass(frozen=True, slots=True)
class SourceProblem:
    """Something that a source holds and that is no archive (a message nobody can read, a sidecar that is no JSON)."""

    uri: str
    fault: Fault


@runtime_checkable
class Source(Protocol):
    """Sources are picklable: workers open what the coordinator listed. Use as a context manager in the coordinator."""

    def list(self) -> Iterator[ArchiveRef]:
        """Every archive there is now (of a queue: one batch). Raises SourceFault."""
        ...

    def open(self, ref: ArchiveRef) -> AbstractContextManager[OpenedArchive]:
        """The archive as it was listed. Raises ArchiveChanged, SourceFault."""
        ...

    def acknowledge(self, refs: Iterable[ArchiveRef]) -> None:
        """These are dealt with, for good: committed, or in quarantine. Idempotent."""
        ...

    def problems(self) -> tuple[SourceProblem, ...]:
        """What the last `list` met that is no archive."""
        ...

    def __enter__(self) -> "Source": ...

    def __exit__(self, *details: object) -> None:
        """What was listed and not acknowledged is given back, to be listed again."""
        ...


class PersistentSource:
    """A source that keeps its archives where they are: the ledger knows what is done, and nothing is given back."""

    __slots__ = ()

    def acknowledge(self, refs: Iterable[ArchiveRef]) -> None:
        """Nothing to do."""

    def problems(self) -> tuple[SourceProblem, ...]:
        """None: whatever is there is an archive."""
        return ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        """Nothing to do."""

"""What the Lambda asks of the engine, and of its studies' settings: small values, bound to the engine in one place."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from carrel.ingest.values import ArchiveRef


@dataclass(frozen=True, slots=True)
class Study:
    """One study's pipeline. `warehouse` is an `s3://` URL or a folder; `mapping` a folder with mapping and schemas."""

    name: str
    warehouse: str
    mapping: str
    app: str | None = None
    """App id that its records must be of; None: any."""


class TakeArchives(Protocol):
    """Ingest `archives` into a study's warehouse: a whole run of the engine, committed on return."""

    def __call__(self, study: Study, archives: Sequence[ArchiveRef]) -> Collection[str]:
        """URIs of the archives that are settled: in the ledger for good, whatever became of them.

        What it could not read for a reason of the machinery (network, credentials, lock held) is left out, or it raises.
        """

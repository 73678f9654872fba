"""When a run is told of: to the person who asked for it, and to the project's webhooks. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from carrel.jobserver.runs.derivation import FINAL_REQUEST_STATUSES


class RunEvent(StrEnum):
    """What webhooks are called for."""

    ENDED = "run.ended"
    FAILED = "run.failed"


@dataclass(frozen=True, slots=True)
class RunStanding:
    """A run's requests by status, and its failures: jobs that failed and requests that were refused.

    What somebody cancelled is no failure: nobody need be told of it at once.
    """

    statuses: tuple[str, ...]
    failures: int = 0

    def events(self) -> frozenset[RunEvent]:
        """Return what has happened by now: a failure at once, the end when every backend has ended."""
        has_ended = bool(self.statuses) and FINAL_REQUEST_STATUSES.issuperset(self.statuses)
        pairs = ((RunEvent.FAILED, self.failures > 0), (RunEvent.ENDED, has_ended))
        return frozenset(event for event, has_happened in pairs if has_happened)


def person_is_told(notify: str, events: Iterable[RunEvent]) -> bool:
    """Tell whether the person who asked for the run is told now (once: the run remembers it)."""
    due = {"end": RunEvent.ENDED, "first_failure": RunEvent.FAILED}.get(notify)
    return due is not None and due in set(events)

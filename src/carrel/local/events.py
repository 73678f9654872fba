"""What a run tells whoever watches it: values, so that a terminal, a log and a program can each show them their way."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from carrel.local.records import ActionRecord


@dataclass(frozen=True, slots=True)
class Progress:
    """One line of progress. `code` is the status the action is in now; `detail` lines do not change it."""

    action: str
    code: str
    message: str
    at: datetime
    detail: bool = False


@dataclass(frozen=True, slots=True)
class ActionResult:
    """How one action of a run ended. `record` is None when it never came to an end of its own (a fault of ours)."""

    action: str
    succeeded: bool
    message: str
    record: ActionRecord | None = None
    log: str = ""
    """Path of its log from the study's folder; empty when there is none."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """`results` in the order the actions ended; `left_out`: what did not run, or was stopped, for another's failure."""

    results: tuple[ActionResult, ...] = ()
    left_out: tuple[str, ...] = ()
    nothing_to_do: str = ""

    @property
    def succeeded(self) -> bool:
        return not self.left_out and all(result.succeeded for result in self.results)


@dataclass(frozen=True, slots=True)
class RunStart:
    """The actions of a run, in dependency order, and what each waits for."""

    request_id: str
    backend: str
    actions: tuple[str, ...]
    needs: dict[str, tuple[str, ...]] = field(default_factory=dict)


class Watcher(Protocol):
    """Shows a run. Called from several threads, one at a time."""

    def start(self, run: RunStart) -> None: ...

    def report(self, progress: Progress) -> None: ...

    def report_usage(self, action: str, memory_peak: int | None) -> None:
        """What a running action has used so far, in bytes."""
        ...

    def end(self, result: RunResult) -> None: ...

    def close(self) -> None:
        """The run is over, however it ended: leave the terminal as it was."""
        ...

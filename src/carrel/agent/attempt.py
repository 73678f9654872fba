"""The life of an attempt as one pure function: what is seen of it now -> what to do next.

Nothing is remembered between steps: what is seen comes from the runtime and the disk, so a killed agent goes on where
it was.
"""

from dataclasses import dataclass
from enum import StrEnum

from carrel.executors.base import Phase


class StartState(StrEnum):
    """What the disk says of the process having been started."""

    NOT_YET = "not_yet"
    BEGUN = "begun"
    """Asked of the runtime, during this boot of the machine; whether it came to be is not known."""
    DONE = "done"
    """The runtime had it; or it was begun before the machine was restarted."""


class Step(StrEnum):
    PREPARE = "prepare"
    START = "start"
    WAIT = "wait"
    STOP = "stop"
    FINALISE = "finalise"
    RESET = "reset"
    """Forget the process and prepare anew."""
    LOSE = "lose"
    """Record that the process ended and nobody knows how."""
    REPORT = "report"
    CLEAN = "clean"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at an attempt."""

    phase: Phase
    prepared: bool = False
    """Its folder is ready, and was made ready in this boot: what a job wrote before a power cut may be half there."""
    start: StartState = StartState.NOT_YET
    lost: bool = False
    """The runtime has it, ended without an exit code of its own."""
    recorded: bool = False
    """Its outcome is on disk (or could not be written, and is known)."""
    reported: bool = False
    """The controller has its outcome, or wants it no more."""
    cancelled: bool = False
    timed_out: bool = False
    superseded: bool = False
    """The controller has given it up without asking for its outcome."""
    leftovers: bool = False
    """Its working folder is still there."""


def next_step(seen: Observation) -> Step:
    """The one thing to do now. Every step is idempotent, and leads to a state in which another is next, or DONE."""
    if seen.superseded or (seen.recorded and seen.reported):
        return _leave(seen)
    if seen.recorded:
        return Step.STOP if seen.phase is Phase.RUNNING else Step.REPORT
    if seen.cancelled or seen.timed_out:
        return Step.STOP if seen.phase is Phase.RUNNING else Step.FINALISE
    if seen.phase is Phase.ABSENT:
        return _begin(seen)
    if not seen.prepared:  # its folder was taken away: there is nothing to publish from
        return Step.STOP if seen.phase is Phase.RUNNING else Step.LOSE
    if seen.phase is Phase.RUNNING:
        return Step.WAIT
    return _lost(seen) if seen.lost else Step.FINALISE


def _lost(seen: Observation) -> Step:
    """A process that we were killed while starting may never have been: that is no fault of anybody's."""
    return Step.RESET if seen.start is StartState.BEGUN else Step.LOSE


def _leave(seen: Observation) -> Step:
    if seen.phase is Phase.RUNNING:
        return Step.STOP
    return Step.CLEAN if seen.leftovers or seen.phase is Phase.EXITED else Step.DONE


def _begin(seen: Observation) -> Step:
    if seen.start is StartState.DONE:
        return Step.LOSE
    return Step.START if seen.prepared else Step.PREPARE

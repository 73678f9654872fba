"""The life of an attempt as one pure function: what is seen of it now -> what to do next.

Nothing is remembered between steps: what is seen comes from the runtime and the disk, so a killed agent goes on where
it was.
"""

from dataclasses import KW_ONLY, dataclass
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
    """What may be done with an attempt."""

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
    _: KW_ONLY
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


def next_step(observation: Observation) -> Step:
    """The one thing to do now. Every step is idempotent, and leads to a state in which another is next, or DONE."""
    running, absent = observation.phase is Phase.RUNNING, observation.phase is Phase.ABSENT
    if observation.superseded or (observation.recorded and observation.reported):  # nobody waits for more of it
        if running:
            return Step.STOP
        return Step.CLEAN if observation.leftovers or not absent else Step.DONE
    is_over = observation.recorded or observation.cancelled or observation.timed_out
    if running and (is_over or not observation.prepared):  # without its folder there is nothing to publish from
        return Step.STOP
    if is_over:
        return Step.REPORT if observation.recorded else Step.FINALISE
    if absent and observation.start is not StartState.DONE:
        return Step.START if observation.prepared else Step.PREPARE
    if absent or not observation.prepared:
        return Step.LOSE
    if running:
        return Step.WAIT
    if observation.lost:  # one that we were killed while starting may never have been: that is no fault of anybody's
        return Step.RESET if observation.start is StartState.BEGUN else Step.LOSE
    return Step.FINALISE

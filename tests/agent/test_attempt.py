"""The state machine, over every state there is."""

from dataclasses import replace
from itertools import product

import pytest

from carrel.agent.attempt import Observation, StartState, Step, next_step
from carrel.executors.base import Phase

FLAGS = ("prepared", "lost", "recorded", "reported", "cancelled", "timed_out", "superseded", "leftovers")
ALL = [
    Observation(phase, start=start, **dict(zip(FLAGS, flags, strict=True)))
    for phase, start, flags in product(Phase, StartState, product((False, True), repeat=len(FLAGS)))
]


@pytest.mark.parametrize(
    ("seen", "step"),
    [
        (Observation(Phase.ABSENT), Step.PREPARE),
        (Observation(Phase.ABSENT, prepared=True), Step.START),
        (Observation(Phase.ABSENT, prepared=True, start=StartState.BEGUN), Step.START),
        (Observation(Phase.ABSENT, prepared=True, start=StartState.DONE), Step.LOSE),
        (Observation(Phase.ABSENT, start=StartState.DONE), Step.LOSE),
        (Observation(Phase.RUNNING, prepared=True), Step.WAIT),
        (Observation(Phase.RUNNING), Step.STOP),
        (Observation(Phase.EXITED), Step.LOSE),
        (Observation(Phase.EXITED, prepared=True), Step.FINALISE),
        (Observation(Phase.EXITED, prepared=True, lost=True, start=StartState.DONE), Step.LOSE),
        (Observation(Phase.EXITED, prepared=True, lost=True, start=StartState.BEGUN), Step.RESET),
        (Observation(Phase.EXITED, prepared=True, lost=True, cancelled=True), Step.FINALISE),
        (Observation(Phase.RUNNING, prepared=True, cancelled=True), Step.STOP),
        (Observation(Phase.RUNNING, prepared=True, timed_out=True), Step.STOP),
        (Observation(Phase.ABSENT, cancelled=True), Step.FINALISE),
        (Observation(Phase.EXITED, prepared=True, recorded=True), Step.REPORT),
        (Observation(Phase.ABSENT, recorded=True, reported=True, leftovers=True), Step.CLEAN),
        (Observation(Phase.ABSENT, recorded=True, reported=True), Step.DONE),
        (Observation(Phase.RUNNING, prepared=True, superseded=True), Step.STOP),
    ],
)
def test_what_comes_next(seen: Observation, step: Step) -> None:
    assert next_step(seen) is step


def _after(seen: Observation, step: Step) -> Observation:
    """What is seen once a step has done its work."""
    return {
        Step.PREPARE: replace(seen, prepared=True, leftovers=True),
        Step.START: replace(seen, phase=Phase.RUNNING, start=StartState.DONE),
        Step.WAIT: replace(seen, phase=Phase.EXITED),
        Step.STOP: replace(seen, phase=Phase.EXITED),
        Step.RESET: replace(seen, phase=Phase.ABSENT, prepared=False, lost=False, start=StartState.NOT_YET),
        Step.FINALISE: replace(seen, recorded=True),
        Step.LOSE: replace(seen, recorded=True),
        Step.REPORT: replace(seen, reported=True),
        Step.CLEAN: replace(seen, phase=Phase.ABSENT, leftovers=False),
    }[step]


def test_from_every_state_the_end_is_reached_and_nothing_is_left() -> None:
    for state in ALL:
        seen, steps = state, []
        while (step := next_step(seen)) is not Step.DONE:
            steps.append(step)
            assert len(steps) < 12, (state, steps)
            seen = _after(seen, step)
        assert seen.phase is Phase.ABSENT
        assert not seen.leftovers


def test_nothing_is_published_of_what_is_superseded_and_nothing_recorded_is_done_again() -> None:
    for seen in ALL:
        if seen.superseded:
            assert next_step(seen) in {Step.STOP, Step.CLEAN, Step.DONE}
        if seen.recorded:
            assert next_step(seen) not in {Step.FINALISE, Step.LOSE, Step.PREPARE, Step.START}

"""The contract's messages, word for word."""

import pytest

from carrel.outputs.matching import MatchedOutputs, with_unfit
from carrel.outputs.outcome import Ending, outcome_of
from carrel.outputs.walk import Listing, Refusal

DONE = MatchedOutputs({"a.csv": "highly_sensitive"}, (), ())
LACKING = MatchedOutputs({}, ("a.csv", "b/*.csv"), ("x.csv", "y.csv"))


def test_success() -> None:
    outcome = outcome_of(Ending(0), DONE)
    assert (outcome.message, outcome.hint, outcome.publish) == ("Completed successfully", "", True)


def test_success_though_a_child_was_killed_for_memory() -> None:
    assert outcome_of(Ending(0, oom_killed=True), DONE).message == "Completed successfully"


@pytest.mark.parametrize(("code", "words"), [(126, "not executable"), (127, "was not found")])
def test_what_could_not_be_started(code: int, words: str) -> None:
    assert words in str(outcome_of(Ending(code), DONE).message)


def test_success_with_excluded_files_says_how_many() -> None:
    outcome = outcome_of(Ending(0), DONE, {"a.csv": "why"})
    assert outcome.publish
    assert outcome.message == (
        "Completed successfully, but 1 file(s) marked as moderately_sensitive were excluded. See job log for details."
    )


def test_unmatched_patterns_publish_nothing() -> None:
    outcome = outcome_of(Ending(0), LACKING)
    assert not outcome.publish
    assert outcome.message == "\n  No outputs found matching patterns:\n - a.csv\n   - b/*.csv"
    assert outcome.hint == "\n  Did you mean to match one of these files instead?\n - x.csv\n   - y.csv"


def test_unmatched_with_nothing_else_made_has_no_hint() -> None:
    assert outcome_of(Ending(0), MatchedOutputs({}, ("a.csv",), ())).hint == ""


def test_what_matched_and_can_be_no_output_is_named_with_the_reason() -> None:
    listing = Listing((), (Refusal("output/a.csv", "it is a symbolic link"), Refusal("b/x.txt", "it is a socket")))
    matched = with_unfit(MatchedOutputs({}, ("output/*.csv",), ()), listing)
    hint = outcome_of(Ending(0), matched).hint
    assert hint == "\n  These match, but can never be outputs:\n - output/a.csv  - it is a symbolic link"


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        (Ending(1), None),
        (Ending(137), "Job killed by OpenSAFELY admin or memory limits"),
        (Ending(137, oom_killed=True, memory_limit=4 * 1024**3), "Job ran out of memory (limit was 4.00GB)"),
        (Ending(137, oom_killed=True), "Job ran out of memory"),
        (Ending(137, cancelled=True), "Job cancelled by system"),
        (Ending(None, cancelled=True), "Job cancelled by system"),
        (Ending(0, cancelled=True), "Job cancelled by system"),
        (
            Ending(1, oom_killed=True, memory_limit=1024**3),
            "Job ran out of memory (limit was 1.00GB): one of its processes was killed, and the job then failed",
        ),
        (Ending(200), None),
        (Ending(255), None),
        (
            Ending(139),
            "Job failed: killed by signal 11 (segmentation fault). A compiled library failed; see which step the job "
            "log ends with",
        ),
        (Ending(143), "Job failed: killed by signal 15 (terminated)"),
        (Ending(137, timeout_seconds=60), "Job stopped: it ran longer than its time limit of 60 seconds"),
    ],
)
def test_failures(ending: Ending, message: str | None) -> None:
    outcome = outcome_of(ending, DONE)
    assert outcome.message == message
    assert not outcome.publish

"""What a job whose process has ended comes to: its outputs, what bars some of them from level 4, and the outcome.

Reads the job's folder and writes nothing; what becomes of the judgement is for the agent and the local run.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from carrel.outputs.level4 import HIGHLY_SENSITIVE, Exclusion, GateLimits, check_file, disclosure_sentences
from carrel.outputs.matching import NOTHING_MATCHED, MatchedOutputs, too_much, with_unfit
from carrel.outputs.outcome import AttemptOutcome, Ending, outcome_of
from carrel.outputs.unchanged_files import PlacedFile, match_changed_files
from carrel.outputs.walk import Listing, Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedJob:
    """A job whose process has ended, and its folder. `output_spec`: pattern -> level, in order."""

    workspace: Path
    output_spec: Mapping[str, str]
    placed: Mapping[str, PlacedFile]
    """What was in the workspace before the job began, by path."""
    since_ns: int
    """When that was, in ns since 1970: files changed later are the job's."""
    limits: GateLimits
    ungated_levels: Collection[str] = (HIGHLY_SENSITIVE,)
    """Levels whose files the level 4 gate does not look at."""
    check: Callable[[], None] = lambda: None
    """Called between blocks of long work; what it raises ends it."""

    def gated(self, outputs: Mapping[str, str]) -> list[str]:
        """Paths of those outputs (path -> level) that the level 4 gate looks at."""
        return [path for path, level in outputs.items() if level not in self.ungated_levels]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """`exclusions`: path of a moderately sensitive output -> what bars it from level 4.

    `too_much`: why nothing of what the job made can be kept, in a sentence; `matched` has no outputs then.
    """

    matched: MatchedOutputs
    outcome: AttemptOutcome
    exclusions: Mapping[str, Exclusion]
    refused: tuple[Refusal, ...] = ()
    too_much: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """For the log of a job that failed: how it failed is what there is to know, not what it left."""
        return (f"Nothing of what it made is kept: {self.too_much}",) if self.too_much else ()


def judge(job: EndedJob, ending: Ending, listing: Listing | None) -> Judgement:
    """Match, check and judge what the job left. `listing` is of its workspace; None where nothing of it counts."""
    if listing is None:
        return Judgement(matched=NOTHING_MATCHED, outcome=outcome_of(ending, NOTHING_MATCHED), exclusions={})
    matched = with_unfit(
        match_changed_files(job.output_spec, listing.files, job.placed, job.workspace, job.since_ns, job.check), listing
    )
    reason = too_much(listing, matched.outputs)
    if reason:
        matched = replace(matched, outputs={})
    exclusions = {}
    for path in job.gated(matched.outputs):
        job.check()
        if exclusion := check_file(job.workspace, path, job.limits, job.check):
            exclusions[path] = exclusion
    outcome = outcome_of(ending, matched, {path: exclusion.reason for path, exclusion in exclusions.items()})
    return Judgement(matched=matched, outcome=outcome, exclusions=exclusions, refused=listing.refused, too_much=reason)


def disclosure_notes(job: EndedJob, outputs: Mapping[str, str]) -> tuple[str, ...]:
    """What the disclosure rules say of the outputs that checkers may see, in lines for the log; by path."""
    return tuple(
        f"{path}: {sentence}"
        for path in sorted(job.gated(outputs))
        for sentence in disclosure_sentences(job.workspace, path, job.limits, job.check)
    )

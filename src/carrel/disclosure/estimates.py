"""Estimates that rest on few people: degrees of freedom, and tables of survival. Pure.

Sources: the SDC Handbook (Griffiths et al. 2019), "regressions" and "survival analysis"; ACRO's defaults (10 and 10).
"""

import re
from collections.abc import Iterator

from carrel.disclosure.cells import number_of
from carrel.disclosure.columns import ReadColumn, ReadTable
from carrel.disclosure.findings import DisclosureFinding, RuleId
from carrel.disclosure.mentions import words_of
from carrel.disclosure.policy import DisclosurePolicy

_FREEDOM = re.compile(
    r"(residual |resid |denominator )?(df|dof|ddf|degrees? of freedom)( (resid(uals?)?|denominator))?|df resid(uals?)?"
)
_AT_RISK = re.compile(r"(n|num|number|people|patients)? ?(at )?risk|n risk|risk set|num at risk")
_EVENTS = re.compile(r"(n|num|number( of)?|observed)? ?(events?|deaths?|failures?)|n event")
_SURVIVAL = frozenset({"surv", "survival", "km", "survivor", "kaplan"})


def degrees_of_freedom(read: ReadTable, policy: DisclosurePolicy) -> Iterator[DisclosureFinding]:
    """Each number that a header or the cell to its left calls (residual) degrees of freedom, and that is too small."""
    message = f"an estimate rests on fewer than {policy.least_degrees_of_freedom} degrees of freedom"
    for column in read.columns:
        is_named = _says(_FREEDOM, column.name)
        left = read.columns[column.number - 2] if column.number > 1 else None
        labelled = set() if left is None or not left.is_label else {t for t in set(left.texts) if _says(_FREEDOM, t)}
        if not is_named and not labelled:
            continue
        for row, text in enumerate(column.texts):
            if is_named or (left is not None and left.texts[row] in labelled):
                number = number_of(text)
                if number is not None and 0 <= number < policy.least_degrees_of_freedom:
                    yield read.finding(RuleId.DEGREES_OF_FREEDOM, row, column, message)


_LONGEST_LABEL = 60


def _says(pattern: re.Pattern[str], text: str) -> bool:
    return len(text) <= _LONGEST_LABEL and pattern.fullmatch(" ".join(words_of(text))) is not None


def survival(read: ReadTable, policy: DisclosurePolicy) -> Iterator[DisclosureFinding]:
    """Each line of a survival table with too few at risk, or whose step is of too few events.

    The step is of the events that a column counts; where none does, of those that leave the people at risk.
    """
    if all(column.words.isdisjoint(_SURVIVAL) for column in read.columns):
        return
    at_risk = _column(read, _AT_RISK)
    events = _column(read, _EVENTS)
    if at_risk is not None:
        for row, count in enumerate(at_risk.counts):
            if count is not None and 0 < count < policy.least_at_risk:
                message = f"fewer than {policy.least_at_risk} people are at risk"
                yield read.finding(RuleId.SURVIVAL, row, at_risk, message)
    if events is None and at_risk is not None:
        yield from _steps(read, at_risk, policy)
    elif events is not None:
        for row, count in enumerate(events.counts):
            if count is not None and 0 < count < policy.smallest_shown:
                yield read.finding(RuleId.SURVIVAL, row, events, _STEP.format(policy.largest_small))


_STEP = "a step of the curve is of {} people or fewer: round it, or join times"


def _column(read: ReadTable, pattern: re.Pattern[str]) -> ReadColumn | None:
    return next((column for column in read.columns if _says(pattern, column.name)), None)


def _steps(read: ReadTable, at_risk: ReadColumn, policy: DisclosurePolicy) -> Iterator[DisclosureFinding]:
    before = None
    for row, count in enumerate(at_risk.counts):
        if count is not None:
            if before is not None and 0 < before - count < policy.smallest_shown:
                yield read.finding(RuleId.SURVIVAL, row, at_risk, _STEP.format(policy.largest_small))
            before = count

"""Totals that one or two contributors dominate: whoever knows their own part learns another's. Pure.

Source: the SDC Handbook (Griffiths et al. 2019), "dominance"; ACRO's defaults (NK rule n=2, k=0.90; p% rule p=0.10).
"""

import re
from collections.abc import Callable, Iterator, Sequence

from carrel.disclosure.cells import number_of
from carrel.disclosure.columns import ReadColumn, ReadTable
from carrel.disclosure.findings import DisclosureFinding, RuleId
from carrel.disclosure.mentions import words_of
from carrel.disclosure.policy import DisclosurePolicy

_RANKS = (
    re.compile(r"largest( contribut(or|ion))?|top 1|largest 1|first largest|max contribution"),
    re.compile(r"second largest( contribut(or|ion))?|top 2|largest 2|2nd largest|second contribution"),
    re.compile(r"third largest( contribut(or|ion))?|top 3|largest 3|3rd largest|third contribution"),
)
_WHOLE = re.compile(r"(cell |grand )?total( (value|amount|contribution|sum))?|sum( of .{1,40})?|value")


def dominated_by_few(contributions: Sequence[float], policy: DisclosurePolicy, whole: float | None = None) -> bool:
    """The NK rule: whether the `n` largest contributors have more than the share `k` of the whole (their sum)."""
    largest = sorted(contributions, reverse=True)[: policy.dominance_contributors]
    total = sum(contributions) if whole is None else whole
    return total > 0 and sum(largest) > policy.dominance_share * total


def little_beside_largest(contributions: Sequence[float], policy: DisclosurePolicy, whole: float | None = None) -> bool:
    """The p% rule: whether all but the two largest contributors have less than the share `p` of the largest."""
    first, second = [*sorted(contributions, reverse=True), 0.0, 0.0][:2]
    total = sum(contributions) if whole is None else whole
    return total > 0 and total - first - second < policy.dominance_rest * first


def dominance_nk(read: ReadTable, policy: DisclosurePolicy) -> Iterator[DisclosureFinding]:
    """Each total whose largest contributors, given in columns beside it, have too much of it."""
    largest, percent = policy.dominance_contributors, round(100 * policy.dominance_share)
    message = f"the {largest} largest contributors have more than {percent} % of this total"
    return _dominated(read, policy, RuleId.DOMINANCE_NK, largest, dominated_by_few, message)


def dominance_p(read: ReadTable, policy: DisclosurePolicy) -> Iterator[DisclosureFinding]:
    """Each total in which the others hide the second largest contributor's part too little from the largest."""
    percent = round(100 * policy.dominance_rest)
    message = f"all but the two largest contributors have less than {percent} % of what the largest has"
    return _dominated(read, policy, RuleId.DOMINANCE_P, 2, little_beside_largest, message)


def _dominated(
    read: ReadTable,
    policy: DisclosurePolicy,
    rule: RuleId,
    fewest: int,
    is_dominated: Callable[[Sequence[float], DisclosurePolicy, float], bool],
    message: str,
) -> Iterator[DisclosureFinding]:
    """Rows with a total and columns `largest`, `second_largest`, ...; nothing where a table gives no contributors."""
    names = {" ".join(words_of(column.name[:200])): column for column in reversed(read.columns)}
    ranked: list[ReadColumn] = []
    for pattern in _RANKS:
        if (column := next((names[name] for name in names if pattern.fullmatch(name)), None)) is not None:
            ranked.append(column)
    whole = next((names[name] for name in reversed(names) if _WHOLE.fullmatch(name)), None)
    if whole is None or not ranked:
        return
    for row in range(len(read.rows)):
        total = number_of(whole.texts[row])
        parts = [number for column in ranked[:fewest] if (number := number_of(column.texts[row])) is not None]
        if total is not None and parts and is_dominated(parts, policy, total):
            yield read.finding(rule, row, whole, message)

"""Percentages and shares that give a small count away although it is not shown. Pure."""

import math
import re
from collections.abc import Iterator, Sequence

from carrel.disclosure.cells import number_of
from carrel.disclosure.columns import ReadColumn, ReadTable, is_total_label
from carrel.disclosure.counts import MIDPOINT
from carrel.disclosure.findings import DisclosureFinding, RuleId
from carrel.disclosure.policy import DisclosurePolicy

_PERCENT_WORDS = frozenset({"percent", "percentage", "pct", "pc", "perc"})
_SHARE_WORDS = frozenset({"proportion", "prop", "share", "fraction", "prevalence"})
_WHOLE_WORDS = frozenset({"total", "denominator", "denom", "population", "all", "overall", "base", "n", "registered"})
"""Words of a column that has what the percentages are of."""
_NUMERATOR_WORDS = frozenset({"numerator", "num", "events", "cases", "count"})
_DECIMALS = re.compile(r"\.([0-9]+)")
_NEARLY_ALL = 0.015
"""Percentages of one whole add up to 100, give or take their rounding."""


def implied_counts(read: ReadTable, policy: DisclosurePolicy) -> Iterator[DisclosureFinding]:
    """Each percentage that, of the whole beside it, can only be a small count; or whose rest can only be one.

    A percentage of `d` decimals stands for all counts that are rounded to it: only where all of them are too small is
    it told. The whole is in a column of the row that says so, in the only column of counts, or, where the percentages
    add up to 100, the sum of the counts; that column's own cell is what small-count looks at.
    """
    for column in read.columns:
        scale = _scale(column)
        if not scale or MIDPOINT.search(column.name):
            continue
        numbers = {text: number_of(text) for text in set(column.texts)}
        shares = [None if (number := numbers[text]) is None else number / scale for text in column.texts]
        for row, (share, whole) in enumerate(zip(shares, _wholes(read, shares), strict=True)):
            if share is None or whole is None or not 0 < share < 1:
                continue
            decimals = _DECIMALS.search(column.texts[row])
            half = 0.5 / scale / 10 ** (len(decimals[1]) if decimals else 0)
            if _is_small(share, half, whole, policy):
                message = f"of {whole:,} it can only be a count of {policy.largest_small} or fewer"
                yield read.finding(RuleId.IMPLIED_COUNT, row, column, message)
            elif _is_small(1 - share, half, whole, policy):
                message = f"of {whole:,} it leaves a count of {policy.largest_small} or fewer"
                yield read.finding(RuleId.IMPLIED_COUNT, row, column, message)


def _scale(column: ReadColumn) -> int:
    """100 for percentages, 1 for shares from 0 to 1, 0 for what is neither."""
    if column.is_count and column.words.isdisjoint(_PERCENT_WORDS):
        return 0
    filled = [text for text in column.texts if text]
    has_sign = any(text.endswith("%") for text in filled)
    if has_sign or "%" in column.name or not column.words.isdisjoint(_PERCENT_WORDS):
        return 100
    if column.words.isdisjoint(_SHARE_WORDS):
        return 0
    numbers = [number for text in filled if (number := number_of(text)) is not None]
    return 1 if all(0 <= number <= 1 for number in numbers) else 100


def _is_small(share: float, half: float, whole: int, policy: DisclosurePolicy) -> bool:
    least = max(1, math.ceil((share - half) * whole - 1e-9))
    most = math.floor((share + half) * whole + 1e-9)
    return least <= most < policy.smallest_shown


def _wholes(read: ReadTable, shares: Sequence[float | None]) -> Sequence[int | None]:
    """What each row's share is of; None where nothing tells."""
    nothing = (None,) * len(read.rows)
    named = [column for column in read.count_columns if not column.words.isdisjoint(_WHOLE_WORDS)]
    only = read.count_columns[0] if len(read.count_columns) == 1 else None
    column = next((column for column in named if column.words.isdisjoint(_NUMERATOR_WORDS)), only)
    if column is None:
        return nothing
    is_total = [any(is_total_label(label.texts[row]) for label in read.label_columns) for row in range(len(read.rows))]
    parts = [share for share, total in zip(shares, is_total, strict=True) if share is not None and not total]
    counts = column.counts
    if len(parts) < 2 or not math.isclose(sum(parts), 1, abs_tol=_NEARLY_ALL):
        return counts
    # Shares of one whole: where the count itself is shown, it is looked at itself.
    totals = [count for count, total in zip(counts, is_total, strict=True) if total and count is not None]
    shown = [count for count, total in zip(counts, is_total, strict=True) if not total]
    whole = totals[0] if totals else sum(count for count in shown if count is not None)
    return [whole if count is None and not total else None for count, total in zip(counts, is_total, strict=True)]

"""Percentages and shares that give a small count away although it is not shown. Pure."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from carrel.disclosure.cells import number_of
from carrel.disclosure.columns import ReadColumn, ReadTable
from carrel.disclosure.counts import MIDPOINT
from carrel.disclosure.findings import DisclosureFinding, RuleId
from carrel.disclosure.policy import DisclosurePolicy

_PERCENT_WORDS = frozenset({"percent", "percentage", "pct", "pc", "perc"})
_SHARE_WORDS = frozenset({"proportion", "prop", "share", "fraction", "prevalence"})
_WHOLE_WORDS = frozenset({"total", "denominator", "denom", "population", "all", "overall", "base", "n", "registered"})
"""Words of a column that has what the percentages are of."""
_NUMERATOR_WORDS = frozenset({"numerator", "num", "events", "cases", "count"})
_DECIMALS = re.compile(r"\.([0-9]+)")
_LEAST = 1e-9
"""Shares below it are none of people."""
_MOST_PEOPLE = 10**12
_MOST_LABELS = 4
"""Columns of labels, from the left, each of which is tried as what the wholes have in common."""
_NEARLY = 0.015
"""What counts over their whole may differ by from their shares, as both are rounded."""


def implied_counts(read: ReadTable, policy: DisclosurePolicy) -> Iterator[DisclosureFinding]:
    """Each percentage that, of the whole beside it, can only be a small count; or whose rest can only be one.

    A percentage of `d` decimals stands for all counts that are rounded to it: only where all of them are too small is
    it told. The whole is in a column of the row that says so or in the only column of counts. Where these counts are
    in the ratio of the percentages, they are the parts: only those that are redacted are told.
    """
    first_counts = min((column.number for column in read.count_columns), default=0)
    for column in read.columns:
        scale = _scale(column)
        if not scale or MIDPOINT.search(column.name):
            continue
        is_named = "%" in column.name or not column.words.isdisjoint(_PERCENT_WORDS | _SHARE_WORDS)
        if not is_named and column.number < first_counts and (column.is_label or column.number == 1):
            continue  # `free`, `25%`, `50%` left of the counts: what the rows are about, such as plans of an insurance
        numbers = {text: number_of(text) for text in set(column.texts)}
        share_of = {
            text: number / scale for text, number in numbers.items() if number and _LEAST <= number / scale <= 1
        }
        shares = [share_of.get(text) for text in column.texts]
        for row, (share, whole) in enumerate(zip(shares, _wholes(read, shares), strict=True)):
            if share is None or whole is None or share == 1:
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
    named = [column for column in read.count_columns if not column.words.isdisjoint(_WHOLE_WORDS)]
    only = read.count_columns[0] if len(read.count_columns) == 1 else None
    column = next((column for column in named if column.words.isdisjoint(_NUMERATOR_WORDS)), only)
    if column is None:
        return (None,) * len(read.rows)
    counts = [count if count and count <= _MOST_PEOPLE else None for count in column.counts]
    groups = _groups_of_one_whole(read, shares, counts)
    if groups is None:
        return counts
    # The counts are the parts, not the whole: where one is shown, it is looked at itself.
    wholes: list[int | None] = [None] * len(read.rows)
    for rows in groups:
        whole = _whole_of(rows, shares, counts)
        for row in rows:
            if column.counts[row] is None and whole is not None:
                wholes[row] = round(whole)
    return wholes


def _groups_of_one_whole(
    read: ReadTable, shares: Sequence[float | None], counts: Sequence[int | None]
) -> list[list[int]] | None:
    """Rows whose counts are in the ratio of their shares: all of a table, or those with a label in common.

    None where there are none: the counts are not what the shares are about.
    """
    for labels in ((), *((label,) for label in read.label_columns[:_MOST_LABELS]), read.label_columns[:-1]):
        by_labels = defaultdict(list)
        for row in range(len(read.rows)):
            by_labels[tuple(label.texts[row] for label in labels)].append(row)
        groups = list(by_labels.values())
        telling = [rows for rows in groups if sum(bool(counts[row] and shares[row]) for row in rows) > 1]
        if telling and 2 * sum(_are_in_ratio(rows, shares, counts) for rows in telling) > len(telling):
            return groups
    return None


def _whole_of(rows: Sequence[int], shares: Sequence[float | None], counts: Sequence[int | None]) -> float | None:
    shown = _shown(rows, shares, counts)
    return sum(count for count, _ in shown) / sum(share for _, share in shown) if shown else None


def _are_in_ratio(rows: Sequence[int], shares: Sequence[float | None], counts: Sequence[int | None]) -> bool:
    whole = _whole_of(rows, shares, counts)
    shown = _shown(rows, shares, counts)
    return whole is not None and all(abs(count / whole - share) <= _NEARLY for count, share in shown)


def _shown(
    rows: Sequence[int], shares: Sequence[float | None], counts: Sequence[int | None]
) -> list[tuple[int, float]]:
    """The counts of these rows with their shares, where both are shown and above 0."""
    return [(count, share) for row in rows if (count := counts[row]) and (share := shares[row])]

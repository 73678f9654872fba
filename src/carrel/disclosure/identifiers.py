"""Columns that may identify people: by their name, by what stands in them, or by how many different labels. Pure."""

import math
import re
from collections.abc import Iterator, Sequence

from carrel.disclosure.cells import CellKind
from carrel.disclosure.columns import NO_COUNTS, ReadColumn, ReadTable
from carrel.disclosure.findings import DisclosureFinding, RuleId
from carrel.disclosure.identifier_names import identifier_of
from carrel.disclosure.policy import DisclosurePolicy


def identifier_names(read: ReadTable, policy: DisclosurePolicy) -> Iterator[DisclosureFinding]:
    """Each column whose header says that it may identify people. No value is quoted: it may be somebody's."""
    for column in read.columns:
        if name := identifier_of(column.name, policy.identifiers):
            message = f"a column of this name may identify people ({name})"
            yield read.column_finding(RuleId.IDENTIFIER_NAME, column, message, subject=name)


def identifier_values(read: ReadTable, policy: DisclosurePolicy) -> Iterator[DisclosureFinding]:
    """Each column whose header says nothing and whose cells look like what identifies people."""
    for column in read.columns:
        if (kind := kind_of_values(column.texts)) and not identifier_of(column.name, policy.identifiers):
            message = f"the values look like {kind}, which identify people"
            yield read.column_finding(RuleId.IDENTIFIER_VALUE, column, message, subject=kind)


_DATE = re.compile(r"[0-9]{1,4}([-/.])[0-9A-Za-z]{1,9}\1[0-9]{1,4}([ T].*)?|[0-9]{4}-?(Q[1-4]|W?[0-9]{1,2})")
_MOST_ALIKE = 0.9
"""Of a column's filled cells, so many are different from one another in a list of people."""
_LONG_NUMBER = 6
"""Digits from which on whole numbers that are all different may be people's numbers, not counts."""


def many_labels(read: ReadTable, policy: DisclosurePolicy) -> Iterator[DisclosureFinding]:
    """Each column that has a label of its own in nearly every row, and more labels than places have."""
    for column in read.columns:
        labels = {text for text in column.texts if text}
        filled = len(column.texts) - column.kinds[CellKind.EMPTY]
        if len(labels) <= policy.most_labels or len(labels) < _MOST_ALIKE * filled:
            continue
        if _labels_rows(column, labels) and not identifier_of(column.name, policy.identifiers):
            message = f"{len(labels):,} different labels in {len(column.texts):,} rows: has each person a row?"
            yield read.column_finding(RuleId.MANY_LABELS, column, message)


def _labels_rows(column: ReadColumn, labels: set[str]) -> bool:
    """Whether its cells are words, or numbers as long as people's, and no dates."""
    most = _SHARE * len(labels)
    if column.kinds[CellKind.TEXT] >= _SHARE * len(column.texts):
        return sum(1 for label in labels if _DATE.fullmatch(label)) < most
    if column.kinds[CellKind.COUNT] < _SHARE * len(column.texts) or NO_COUNTS.search(column.name):
        return False
    lengths = {len(label) for label in labels if label.isdigit()}
    return len(lengths) == 1 and min(lengths) >= _LONG_NUMBER


_NHS_NUMBER = re.compile(r"([0-9]{3})([ -]?)([0-9]{3})\2([0-9]{4})")
_NHS_DIGITS = 10
_POSTCODE = re.compile(r"[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][ABD-HJLNP-UW-Z]{2}", re.IGNORECASE)
_EMAIL = re.compile(r"[^@\s,;]{1,64}@[^@\s,;]{1,190}\.[a-z]{2,24}", re.IGNORECASE)
_PHONE = re.compile(r"(?:\+44 ?|\(?0)[0-9](?:[ ()-]?[0-9]){8,9}")
_SHARE = 0.8
"""Of the filled cells of a column that must look so: a few may be marks or mistakes."""


def kind_of_values(cells: Sequence[str]) -> str:
    """`NHS numbers`, `postcodes`, `e-mail addresses` or `telephone numbers`; "" for other cells.

    A tenth of all numbers of ten digits have the right check digit, so one alone is believed only in groups of 3, 3, 4.
    """
    filled = [stripped for cell in cells if (stripped := cell.strip())]
    if not filled:
        return ""
    if any("@" in cell and _EMAIL.fullmatch(cell) for cell in filled):
        return "e-mail addresses"
    distinct = set(filled)
    numbers = {cell for cell in distinct if len(cell) >= _NHS_DIGITS and is_nhs_number(cell)}
    if len(numbers) >= _SHARE * len(distinct) and (len(numbers) > 1 or not max(numbers).isdigit()):
        return "NHS numbers"
    if _are_mostly(_POSTCODE, filled):
        return "postcodes"
    return "telephone numbers" if _are_mostly(_PHONE, filled) else ""


def _are_mostly(pattern: re.Pattern[str], cells: Sequence[str]) -> bool:
    """Whether the share of the cells that must look so does; it stops where too many do not."""
    allowed = len(cells) - math.ceil(_SHARE * len(cells))
    for cell in cells:
        if not pattern.fullmatch(cell):
            allowed -= 1
            if allowed < 0:
                return False
    return True


def is_nhs_number(text: str) -> bool:
    """Ten digits, the last of which is right: 11 less the weighted sum (10 to 2) modulo 11; 11 is 0, and 10 is none.

    Source: NHS Data Dictionary, "NHS NUMBER".
    """
    match = _NHS_NUMBER.fullmatch(text)
    if match is None:
        return False
    digits = [int(digit) for digit in match[1] + match[3] + match[4]]
    if len(set(digits)) == 1:
        return False
    check = 11 - sum(digit * weight for digit, weight in zip(digits, range(10, 1, -1), strict=False)) % 11
    return check % 11 == digits[9] and check != 10

"""What a rule says about one output file."""

from dataclasses import dataclass
from enum import StrEnum


class RuleId(StrEnum):
    """The rules there are, as programs name them. `carrel.disclosure.rules.RULES` has each with its source."""

    SMALL_COUNT = "small-count"
    NOT_ROUNDED = "not-rounded"
    NOT_MIDPOINT6 = "not-midpoint6"
    IMPLIED_COUNT = "implied-count"
    MARGINS = "margins"
    EXTREMES = "minimum-maximum"
    DOMINANCE_NK = "dominance-nk"
    DOMINANCE_P = "dominance-p"
    ZERO = "zero"
    ONE_CLASS = "one-class"
    MISSING_VALUES = "missing-values"
    DEGREES_OF_FREEDOM = "degrees-of-freedom"
    SURVIVAL = "survival"
    IDENTIFIER_NAME = "identifier-name"
    IDENTIFIER_VALUE = "identifier-value"
    MANY_LABELS = "many-labels"
    LONG_TABLE = "long-table"
    WIDE_TABLE = "wide-table"
    IMAGE_WITHOUT_NUMBERS = "image-without-numbers"
    SMALL_DIFFERENCE = "small-difference"


IDENTIFYING = frozenset({RuleId.IDENTIFIER_NAME, RuleId.IDENTIFIER_VALUE})


class NotChecked(Exception):
    """A rule could not look, or not at everything. The text completes "not checked: ...", and quotes no contents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureFinding:
    """One thing a checker should look at. `line` counts from 1, `column` is its name in the header.

    `value` is the cell; empty for a finding about a whole column. `subject` says of such a column what it is, in words
    of ours: in a table without a header, `column` may be somebody's value. `column_number` counts from 1; 0 is for a
    finding about a whole table or file, which has line 0 too where nothing stands for it.
    """

    rule: RuleId
    line: int
    column: str
    value: str
    message: str
    column_number: int = 0
    subject: str = ""
    compared_with: str = ""
    """For a small difference: the request, release or backend whose file it is a difference to."""

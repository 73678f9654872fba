"""What a rule says about one output file."""

from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    """The rules there are, as programs name them."""

    SMALL_COUNT = "small-count"
    NOT_ROUNDED = "not-rounded"
    IDENTIFIER_NAME = "identifier-name"
    IDENTIFIER_VALUE = "identifier-value"


IDENTIFYING = frozenset({Rule.IDENTIFIER_NAME, Rule.IDENTIFIER_VALUE})


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureFinding:
    """One thing a checker should look at. `line` counts from 1, `column` is its name in the header.

    `value` is the cell; empty for a finding about a whole column. `subject` says of such a column what it is, in words
    of ours: in a table without a header, `column` may be somebody's value.
    """

    rule: Rule
    line: int
    column: str
    value: str
    message: str
    subject: str = ""

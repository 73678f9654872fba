"""Every disclosure rule, with its source. The page `docs/reference/disclosure.md` is made from this table. Pure."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from carrel.disclosure.columns import ReadTable
from carrel.disclosure.counts import not_midpoint6, not_rounded, small_counts
from carrel.disclosure.dominance import dominance_nk, dominance_p
from carrel.disclosure.estimates import degrees_of_freedom, survival
from carrel.disclosure.extremes import extremes
from carrel.disclosure.findings import DisclosureFinding, NotChecked, RuleId
from carrel.disclosure.groups import missing_values, one_class, zero_counts
from carrel.disclosure.identifiers import identifier_names, identifier_values, many_labels
from carrel.disclosure.margins import revealing_margins
from carrel.disclosure.percentages import implied_counts
from carrel.disclosure.policy import DisclosurePolicy
from carrel.disclosure.shapes import long_table, wide_table

MOST_FINDINGS = 100
"""Of one rule, on one table."""

TableRule = Callable[[ReadTable, DisclosurePolicy], Iterator[DisclosureFinding]]

_OPENSAFELY = "OpenSAFELY's rules for outputs"
_HANDBOOK = "SDC Handbook (Griffiths et al. 2019)"
_GSS = "GSS/GSR disclosure control guidance for tables from administrative sources"


class RuleScope(StrEnum):
    """What a rule looks at."""

    TABLE = "a table"
    FILE = "a file and those beside it"
    TWO_TABLES = "two versions of a table"


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureRule:
    """One rule. `version` changes whenever it may find something else in the same file.

    `thresholds`: the fields of the policy that it is held to. `look`: the rule itself, where it is about one table.
    """

    id: RuleId
    version: str
    finds: str
    source: str
    thresholds: tuple[str, ...] = ()
    scope: RuleScope = RuleScope.TABLE
    look: TableRule | None = None


RULES: tuple[DisclosureRule, ...] = (
    DisclosureRule(
        id=RuleId.IDENTIFIER_NAME,
        version="1",
        finds="a column whose name says that it may identify people",
        source="NHS Data Dictionary; 45 CFR 164.514(b)(2); ISB 1523",
        thresholds=("identifier_columns",),
        look=identifier_names,
    ),
    DisclosureRule(
        id=RuleId.IDENTIFIER_VALUE,
        version="1",
        finds="a column of NHS numbers (the check digit agrees), full postcodes, e-mail addresses or telephone numbers",
        source="NHS Data Dictionary; BS 7666",
        look=identifier_values,
    ),
    DisclosureRule(
        id=RuleId.MANY_LABELS,
        version="1",
        finds="a column of words or long numbers with a label of its own in nine rows of ten, and many of them",
        source=f"{_HANDBOOK}: row-level data",
        thresholds=("most_labels",),
        look=many_labels,
    ),
    DisclosureRule(
        id=RuleId.SMALL_COUNT,
        version="1",
        finds="a count that is above 0 and too small to be shown",
        source=f"{_OPENSAFELY}: redact any count of 7 or fewer; {_GSS}",
        thresholds=("smallest_shown",),
        look=small_counts,
    ),
    DisclosureRule(
        id=RuleId.NOT_ROUNDED,
        version="1",
        finds="a larger count that is no multiple of what counts are rounded to",
        source=f"{_OPENSAFELY}: round to the nearest 5",
        thresholds=("rounded_to", "smallest_shown"),
        look=not_rounded,
    ),
    DisclosureRule(
        id=RuleId.NOT_MIDPOINT6,
        version="1",
        finds="a count of a column named `..._midpoint6` that is not the midpoint of its six "
        "(`..._midpoint6_derived`: no multiple of 3)",
        source=f"{_OPENSAFELY}: `ceil(x/6)*6-3`, 0 stays 0",
        look=not_midpoint6,
    ),
    DisclosureRule(
        id=RuleId.IMPLIED_COUNT,
        version="1",
        finds="a percentage or share that, of the whole beside it, can only be a small count, or leaves one",
        source=f"{_OPENSAFELY}: percentages based on small counts; {_HANDBOOK}",
        thresholds=("smallest_shown",),
        look=implied_counts,
    ),
    DisclosureRule(
        id=RuleId.MARGINS,
        version="1",
        finds="a redacted count that totals and the other cells give away, by all sums of the table together",
        source=f"{_HANDBOOK}: secondary disclosure; Cox (1995)",
        look=revealing_margins,
    ),
    DisclosureRule(
        id=RuleId.EXTREMES,
        version="1",
        finds="a column or row that is named a minimum or maximum",
        source=f"{_HANDBOOK}: minima and maxima; {_OPENSAFELY}",
        look=extremes,
    ),
    DisclosureRule(
        id=RuleId.DOMINANCE_NK,
        version="1",
        finds="a total of which the `n` largest contributors have more than the share `k`, where columns "
        "(`total`, `largest`, `second_largest`) give them",
        source=f"{_HANDBOOK}: dominance; ACRO's NK rule",
        thresholds=("dominance_contributors", "dominance_share"),
        look=dominance_nk,
    ),
    DisclosureRule(
        id=RuleId.DOMINANCE_P,
        version="1",
        finds="a total in which all but the two largest contributors have less than the share `p` of the largest",
        source=f"{_HANDBOOK}: dominance; ACRO's p% rule",
        thresholds=("dominance_rest",),
        look=dominance_p,
    ),
    DisclosureRule(
        id=RuleId.ZERO,
        version="1",
        finds="a count of 0, where the policy says that zeros are disclosive",
        source=f"{_HANDBOOK}: class disclosure; ACRO",
        thresholds=("zeros_are_disclosive",),
        look=zero_counts,
    ),
    DisclosureRule(
        id=RuleId.ONE_CLASS,
        version="1",
        finds="a row of counts whose people are all in one class, and 100 % of a group",
        source=f"{_HANDBOOK}: class disclosure; {_GSS}",
        look=one_class,
    ),
    DisclosureRule(
        id=RuleId.MISSING_VALUES,
        version="1",
        finds="a column of counts with cells that are empty or not a number and do not say whether they were redacted",
        source="ACRO's check of missing values",
        look=missing_values,
    ),
    DisclosureRule(
        id=RuleId.DEGREES_OF_FREEDOM,
        version="1",
        finds="residual degrees of freedom that are too few",
        source=f"{_HANDBOOK}: regressions; ACRO",
        thresholds=("least_degrees_of_freedom",),
        look=degrees_of_freedom,
    ),
    DisclosureRule(
        id=RuleId.SURVIVAL,
        version="1",
        finds="a line of a survival table with too few people at risk, or a step of too few events",
        source=f"{_HANDBOOK}: survival analysis; ACRO",
        thresholds=("least_at_risk", "smallest_shown"),
        look=survival,
    ),
    DisclosureRule(
        id=RuleId.LONG_TABLE,
        version="1",
        finds="a table with more rows than one may have, or nine tenths of them",
        source=f"{_OPENSAFELY}: at most 5,000 rows",
        thresholds=("most_rows",),
        look=long_table,
    ),
    DisclosureRule(
        id=RuleId.WIDE_TABLE,
        version="1",
        finds="a table with more columns than a checker can look at",
        source=f"{_HANDBOOK}: volume of outputs",
        thresholds=("most_columns",),
        look=wide_table,
    ),
    DisclosureRule(
        id=RuleId.IMAGE_WITHOUT_NUMBERS,
        version="1",
        finds="an image of whose numbers there is no file beside it",
        source=f"{_OPENSAFELY}: figures need their underlying counts; {_HANDBOOK}: graphs",
        scope=RuleScope.FILE,
    ),
    DisclosureRule(
        id=RuleId.SMALL_DIFFERENCE,
        version="1",
        finds="a count that differs by a small number from the same cell of another request, release or backend",
        source=f"{_HANDBOOK}: differencing; ACRO's linked tables",
        thresholds=("smallest_shown",),
        scope=RuleScope.TWO_TABLES,
    ),
)


def rules_version() -> str:
    """A name for all rules as they are: it changes when one is added, goes, or changes its version."""
    listed = ",".join(f"{rule.id}={rule.version}" for rule in RULES)
    return f"{len(RULES)} rules, {hashlib.sha256(listed.encode()).hexdigest()[:12]}"


def version_of(rule: RuleId) -> str:
    """The version of one rule."""
    return next(listed.version for listed in RULES if listed.id is rule)


@dataclass(frozen=True, slots=True)
class TableLook:
    """What the rules say of one table, in reading order, and for which of them that is not all."""

    findings: tuple[DisclosureFinding, ...]
    unchecked: tuple[str, ...] = ()


def look_at_table(read: ReadTable, policy: DisclosurePolicy) -> TableLook:
    """Put a table through every rule that is about one table and that the policy does not turn off."""
    findings: list[DisclosureFinding] = []
    unchecked = []
    for rule in RULES:
        if rule.look is None or rule.id in policy.off:
            continue
        try:
            told = list(islice(rule.look(read, policy), MOST_FINDINGS + 1))
        except NotChecked as reason:
            unchecked.append(f"{rule.id}: {reason}")
            continue
        if len(told) > MOST_FINDINGS:
            unchecked.append(f"what follows the first {MOST_FINDINGS} findings of {rule.id}")
        findings += told[:MOST_FINDINGS]
    return TableLook(tuple(sorted(findings, key=lambda f: (f.line, f.column_number))), tuple(unchecked))

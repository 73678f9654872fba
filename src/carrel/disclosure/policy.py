"""The thresholds of the disclosure rules, as a backend's policy file sets them. Pure.

The defaults are OpenSAFELY's rules for outputs (small counts, rounding, 5,000 rows) and, where those say nothing,
ACRO's (dominance, degrees of freedom, survival). The file's `disclosure:` mapping has the fields of `DisclosurePolicy`
as its keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from carrel.disclosure.findings import RuleId
from carrel.disclosure.identifier_names import IDENTIFIER_NAMES, names_in
from carrel.units.words import joined

MAX_FURTHER_NAMES = 1_000
"""Most columns' names that a policy adds to those that may identify people."""


class DisclosurePolicyError(ValueError):
    """The policy cannot be read; says every place of it that is wrong, one a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosurePolicy:
    """What the rules hold a file to."""

    smallest_shown: int = 8
    """Smallest count that may be shown, but for 0: counts below it are redacted. Differences below it are small too."""
    rounded_to: int = 5
    """Counts are multiples of it; 1 asks for no rounding."""
    zeros_are_disclosive: bool = False
    """A count of 0 is told too: that nobody of a group has something may say it of everybody."""
    most_rows: int = 5_000
    """Rows that one table may have; what comes near is told."""
    most_columns: int = 50
    """Columns that one table may have; what has more is told."""
    most_labels: int = 200
    """Different labels that a column may have before it looks like one for each person."""
    dominance_contributors: int = 2
    """`n` of the NK rule: so many of the largest contributors are looked at together."""
    dominance_share: float = 0.90
    """`k` of the NK rule: the share of a total that they may have."""
    dominance_rest: float = 0.10
    """`p` of the p% rule: what all but the two largest contribute is at least this share of the largest."""
    least_degrees_of_freedom: int = 10
    """Fewest degrees of freedom that an estimate may rest on."""
    least_at_risk: int = 10
    """Fewest people at risk for whom a survival table may have a line."""
    identifiers: tuple[str, ...] = IDENTIFIER_NAMES
    """Names of columns that may identify people: Carrel's list, and the backend's `identifier_columns`."""
    off: frozenset[RuleId] = frozenset()
    """Rules that this backend does not use. They are recorded with every check."""

    @property
    def largest_small(self) -> int:
        """The largest count that is too small to be shown."""
        return self.smallest_shown - 1

    def as_record(self) -> dict[str, Any]:
        """The policy as JSON has it, to be kept with what the rules said. Of the names, those that the backend adds."""
        record = {field.name: getattr(self, field.name) for field in fields(self)}
        record["identifier_columns"] = [name for name in record.pop("identifiers") if name not in IDENTIFIER_NAMES]
        return {**record, "off": sorted(self.off)}


_WHOLE = {
    "smallest_shown": (1, 1_000),
    "rounded_to": (1, 1_000),
    "most_rows": (1, 1_000_000),
    "most_columns": (1, 100_000),
    "most_labels": (1, 1_000_000),
    "dominance_contributors": (1, 100),
    "least_degrees_of_freedom": (0, 10_000),
    "least_at_risk": (0, 10_000),
}
"""Keys that take whole numbers, with the least and the most."""
_SHARES = ("dominance_share", "dominance_rest")
_KEYS = (*_WHOLE, *_SHARES, "zeros_are_disclosive", "identifier_columns", "off")


def _value_of(key: str, value: Any) -> Any:
    """The value of a key of the file. Raises ValueError, which says what it must be."""
    if key in _WHOLE:
        least, most = _WHOLE[key]
        if type(value) is int and least <= value <= most:
            return value
        raise ValueError(f"must be a whole number from {least:,} to {most:,}")
    if key in _SHARES:
        if type(value) in (int, float) and 0 < value <= 1:
            return float(value)
        raise ValueError("must be a number above 0 and at most 1")
    if key == "zeros_are_disclosive":
        if isinstance(value, bool):
            return value
        raise ValueError("must be true or false")
    is_list = isinstance(value, list) and all(isinstance(name, str) for name in value)
    if key == "off":
        if is_list and set(value) <= set(RuleId):
            return frozenset(map(RuleId, value))
        raise ValueError(f"must be a list of rules: {joined(RuleId)}")
    if is_list and len(value) <= MAX_FURTHER_NAMES:
        return tuple(dict.fromkeys((*IDENTIFIER_NAMES, *(name for line in value for name in names_in(line)))))
    raise ValueError(f"must be a list of at most {MAX_FURTHER_NAMES:,} names of columns")


def read_disclosure_policy(value: object, place: str = "disclosure") -> DisclosurePolicy:
    """Read the mapping that stands at `place` of a policy file, already parsed; None is an empty one.

    Raises DisclosurePolicyError with a line for each key that is wrong: `disclosure.rounded_to: must be ...`.
    """
    if value is None:
        return DisclosurePolicy()
    if not isinstance(value, Mapping):
        raise DisclosurePolicyError(f"{place}: must be a mapping of {joined(_KEYS)}")
    settings, problems = {}, []
    for key, entry in value.items():
        if key not in _KEYS:
            problems.append(f"{place}.{str(key)[:80]}: is no setting; there are {joined(_KEYS)}")
            continue
        try:
            settings["identifiers" if key == "identifier_columns" else key] = _value_of(key, entry)
        except ValueError as error:
            problems.append(f"{place}.{key}: {error}")
    if problems:
        raise DisclosurePolicyError("\n".join(problems))
    return DisclosurePolicy(**settings)

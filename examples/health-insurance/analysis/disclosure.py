"""Counts that are safe to show: those about 7 people or fewer suppressed, the others rounded to the nearest 5.

In this order; totals and rates are worked out afterwards, from what is shown.
"""

import pandas as pd

THRESHOLD = 7
ROUND_TO = 5
REDACTED = "[REDACTED]"


def safe_counts(counts: pd.Series, people: pd.Series) -> pd.Series:
    """Multiples of 5, and missing where few people (or none) stand behind the count.

    Ten visits, or ten person-years, may all be those of one person: `people` says how many there are.
    """
    rounded = (counts / ROUND_TO).round().astype("Int64") * ROUND_TO
    return rounded.where((counts > THRESHOLD) & (people > THRESHOLD))


def write_table(table: pd.DataFrame, path: str) -> None:
    """A CSV in which what is missing says why."""
    table.to_csv(path, index=False, na_rep=REDACTED, lineterminator="\n")

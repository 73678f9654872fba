"""What is safe to show: counts about more than 7 people, rounded to the nearest 5, and means over as many people."""

import pandas as pd

THRESHOLD = 7
ROUND_TO = 5
REDACTED = "[REDACTED]"


def safe_counts(counts: pd.Series, people: pd.Series) -> pd.Series:
    """Multiples of 5, and missing where few people (or none) stand behind the count."""
    rounded = (counts / ROUND_TO).round().astype("Int64") * ROUND_TO
    return rounded.where((counts > THRESHOLD) & (people > THRESHOLD))


def safe_means(means: pd.Series, people: pd.Series) -> pd.Series:
    """Two decimals, and missing where few people stand behind the mean."""
    return means.round(2).where(people > THRESHOLD)


def write_table(table: pd.DataFrame, path: str) -> None:
    """A CSV in which what is missing says why."""
    table.to_csv(path, index=False, na_rep=REDACTED, float_format="%.2f", lineterminator="\n")

"""Visits to a doctor by how people rate their own health: a table that is safe to show.

Counts of 7 people or fewer are redacted with their means; the others are rounded to the nearest 5.
"""

from pathlib import Path

import pandas as pd

THRESHOLD = 7
ROUND_TO = 5
HEALTH = ["excellent", "good", "fair", "poor"]


def visits_by_health(extract: pd.DataFrame) -> pd.DataFrame:
    groups = extract.groupby(pd.Categorical(extract["health"], HEALTH, ordered=True), observed=False)
    people = groups["patient_id"].nunique()
    is_safe = people > THRESHOLD
    person_years = (groups.size() / ROUND_TO).round().astype("Int64") * ROUND_TO
    table = pd.DataFrame(
        {"person_years": person_years.where(is_safe), "mean_visits": groups["visits"].mean().round(1).where(is_safe)}
    )
    return table.rename_axis("health").reset_index()


def main() -> None:
    path = Path("output/visits_by_health.csv")
    visits_by_health(pd.read_csv("output/extract.csv")).to_csv(path, index=False, na_rep="[REDACTED]")


if __name__ == "__main__":
    main()

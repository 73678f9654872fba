"""Person-years by insurance plan and number of visits to a doctor, as counts and percentages that are safe to show."""

import numpy as np
import pandas as pd

from disclosure import safe_counts, write_table

BANDS = {"0": 0, "1-2": 2, "3-5": 5, "6-10": 10, "11-20": 20, "21-40": 40, "over 40": np.inf}  # at most this many


def visits_by_plan(people: pd.DataFrame) -> pd.DataFrame:
    """One row for each plan and band, and one for each plan's total: the sum of what is shown."""
    band = pd.cut(people["visits"], [-1, *BANDS.values()], labels=list(BANDS)).rename("visits_a_year")
    groups = people.groupby(["plan", band], observed=False)["patient_id"]
    table = safe_counts(groups.size(), groups.nunique()).rename("person_years").reset_index()
    total = table.groupby("plan", observed=False)["person_years"].sum()
    percent = (100 * table["person_years"] / table["plan"].map(total).astype("Int64")).round(1)
    return pd.concat([table.assign(percent=percent), totals(total)], ignore_index=True)


def totals(total: pd.Series) -> pd.DataFrame:
    return total.reset_index().assign(visits_a_year="all shown", percent=100.0)


def main() -> None:
    people = pd.read_parquet("output/person_years.parquet")
    write_table(visits_by_plan(people), "output/visits_by_plan.csv")


if __name__ == "__main__":
    main()

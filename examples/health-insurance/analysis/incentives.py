"""South only: visits by the payment that made up for taking part. Rates are derived from safe counts."""

import numpy as np
import pandas as pd

from disclosure import safe_counts, write_table

BANDS = {"none": 1, "up to 250": 250, "up to 500": 500, "up to 750": 750, "over 750": np.inf}  # dollars a year


def incentives(people: pd.DataFrame) -> pd.DataFrame:
    """One row for each band of payment."""
    band = pd.cut(people["incentive_dollars"], [-np.inf, *BANDS.values()], labels=list(BANDS)).rename("incentive")
    groups = people.groupby(band, observed=False)
    number = groups["patient_id"].nunique()
    person_years, visits = safe_counts(groups.size(), number), safe_counts(groups["visits"].sum(), number)
    table = pd.DataFrame({"person_years": person_years, "visits": visits})
    return table.assign(visits_a_year=(table["visits"] / table["person_years"]).round(2)).reset_index()


def main() -> None:
    people = pd.read_parquet("output/person_years.parquet")
    write_table(incentives(people), "output/incentives.csv")


if __name__ == "__main__":
    main()

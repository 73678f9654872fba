"""Bring each backend's extract to the same columns, so that no later script needs to know where it runs."""

import os

import numpy as np
import pandas as pd

HEALTH = ["excellent", "good", "fair", "poor"]
PLANS = {0: "free", 25: "25%", 50: "50%", 100: "95-100%"}  # share of the bill paid: at most this many per cent


def from_north(extract: pd.DataFrame) -> pd.DataFrame:
    return extract


def from_south(extract: pd.DataFrame) -> pd.DataFrame:
    """Logarithms back to per cent and dollars, codes back to words."""
    return (
        extract.rename(columns={"md_visits": "visits"})
        .assign(
            coinsurance_percent=np.expm1(extract["log_coinsurance"]).round(2),
            incentive_dollars=np.exp(extract["log_incentive"]).round(2),
            health=extract["health_code"].map(dict(enumerate(HEALTH))),
        )
        .drop(columns=["log_coinsurance", "log_incentive", "health_code"])
    )


def add_plan(people: pd.DataFrame) -> pd.DataFrame:
    """Name the insurance plan by the share of the bill that the person pays."""
    plan = pd.cut(people["coinsurance_percent"], [-np.inf, *PLANS], labels=list(PLANS.values()))
    return people.assign(plan=plan, health=pd.Categorical(people["health"], HEALTH))


def main() -> None:
    reader = {"north": from_north, "south": from_south}[os.environ["OPENSAFELY_BACKEND"]]
    extract = pd.read_csv("output/extract.csv.gz")
    add_plan(reader(extract)).to_parquet("output/person_years.parquet", index=False)


if __name__ == "__main__":
    main()

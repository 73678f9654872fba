"""How many visits for each plan, compared with free care: a Poisson regression.

Errors are clustered on patient_id: a person's years are alike. They also hold where visits vary more than Poisson says.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf

from disclosure import ROUND_TO, THRESHOLD, write_table

FORMULA = "visits ~ C(plan) + deductible_plan + physical_limitation + chronic_diseases + C(health)"


def fit(people: pd.DataFrame):
    """The fitted model; refuses to fit on so few person-years that its coefficients could tell of single people."""
    if len(people) <= 10 * THRESHOLD:
        raise SystemExit(f"Too few person-years for a model: more than {10 * THRESHOLD} are needed.")
    model = smf.poisson(FORMULA, people.assign(deductible_plan=people["deductible_plan"].astype(int)))
    return model.fit(cov_type="cluster", cov_kwds={"groups": people["patient_id"]}, disp=False)


def rate_ratios(fitted) -> pd.DataFrame:
    """One row for each term: how many times as many visits, and the 95 % confidence interval."""
    low_high = np.exp(fitted.conf_int())
    return (
        pd.DataFrame({"rate_ratio": np.exp(fitted.params), "ci_low": low_high[0], "ci_high": low_high[1]})
        .round(4)
        .rename_axis("term")
        .reset_index()
    )


def summary(fitted) -> dict[str, object]:
    """What a reader needs besides; derived from the rounded number, which keeps the exact one unknown."""
    person_years = int(ROUND_TO * round(fitted.nobs / ROUND_TO))
    return {
        "model": f"Poisson: {FORMULA}",
        "errors": "clustered on patient_id",
        "person_years": person_years,
        "degrees_of_freedom": person_years - len(fitted.params),
        "rounding": f"person_years rounded to the nearest {ROUND_TO}; degrees_of_freedom derived from it",
    }


def main() -> None:
    fitted = fit(pd.read_parquet("output/person_years.parquet"))
    write_table(rate_ratios(fitted), "output/model.csv")
    Path("output/model.json").write_text(json.dumps(summary(fitted), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

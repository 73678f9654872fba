"""The table as a picture. It is drawn from the safe table, so it cannot show more than the table does."""

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt
import pandas as pd

from disclosure import REDACTED

# The same table gives the same file, byte for byte: no random ids, no date, text kept as text.
plt.rcParams.update({"svg.hashsalt": "health-insurance", "svg.fonttype": "none"})


def draw(table: pd.DataFrame) -> plt.Figure:
    """Bars of the share of person-years in each band of visits, one colour for each plan."""
    shown = table[table["visits_a_year"] != "all shown"]
    wide = shown.pivot(index="visits_a_year", columns="plan", values="percent")
    wide = wide.loc[shown["visits_a_year"].unique(), shown["plan"].unique()]  # the order of the table
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    wide.plot.bar(ax=axes, rot=0, width=0.8, color=["#31688e", "#35b779", "#b5a227", "#a03a6b"])
    axes.set(xlabel="visits to a doctor in the year", ylabel="% of person-years shown")
    axes.legend(title="share of the bill paid", frameon=False)
    axes.set_title("Those who pay more see a doctor less often (redacted bars are left out)", fontsize=11)
    return figure


def main() -> None:
    table = pd.read_csv("output/visits_by_plan.csv", na_values=[REDACTED], dtype={"visits_a_year": str})
    draw(table).savefig("output/visits_by_plan.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()

"""The table as a picture. It is drawn from the safe table, so it cannot show more than the table does."""

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt
import pandas as pd

from disclosure import REDACTED

# The same table gives the same file, byte for byte: no random ids, no date, text kept as text.
plt.rcParams.update({"svg.hashsalt": "mobile-assessments", "svg.fonttype": "none"})


def draw(table: pd.DataFrame) -> plt.Figure:
    """Bars of the mean reaction time of each assessment, one colour for each system and version."""
    app = table["system"] + ", version " + table["app_version"].astype(str)
    wide = table.assign(app=app).pivot(index="assessment", columns="app", values="mean_reaction_seconds")
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    wide.plot.bar(ax=axes, rot=0, width=0.8, color=["#b5a227", "#a03a6b", "#31688e", "#35b779"])
    axes.set(xlabel="", ylabel="seconds, mean over people")
    axes.legend(title="app", frameon=False)
    axes.set_title("Reaction times by assessment (redacted bars are left out)", fontsize=11)
    return figure


def main() -> None:
    table = pd.read_csv("output/by_assessment.csv", na_values=[REDACTED])
    draw(table).savefig("output/reaction_times.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()

"""Makes `tests/disclosure/acro/`: what the package `acro` itself says of tables, to hold our rules and reader against.

`acro` 1.0.2 asks for pandas below 3, and so cannot be installed beside our pins. This runs in an environment of its
own, whose interpreter knows nothing of Carrel:

    uv venv -p 3.11 /tmp/acro-venv && uv pip install -p /tmp/acro-venv/bin/python acro==1.0.2
    /tmp/acro-venv/bin/python tests/support/acro_verdicts.py tests/disclosure/acro

The people are made up, from a seed.
"""

import json
import random
import shutil
import sys
import warnings
from pathlib import Path


def people():
    """Made-up people: sex, region, plan, income, age and whether they visited, by name."""
    chance = random.Random(20261201)
    rows = []
    for _ in range(400):
        region = chance.choices(["north", "south", "west"], [60, 37, 3])[0]
        plan = chance.choices(["free", "shared", "full"], [50, 45, 5])[0]
        income = round(chance.lognormvariate(3, 1.2), 1)
        sex = chance.choice("FM")
        rows.append({"sex": sex, "region": region, "plan": plan, "income": income, "age": chance.randrange(18, 90)})
        rows[-1]["visits"] = chance.randrange(0, 9)
    for row in rows:
        if row["region"] == "west" and row["plan"] == "full":
            row["plan"] = "free"
    return rows


def tables(session, frame):
    """Name -> what makes one output of the session."""
    few = frame.head(14)
    return {
        "counts": lambda: session.crosstab(frame.sex, frame.region),
        "counts with margins": lambda: session.crosstab(frame.sex, frame.region, margins=True),
        "counts with zeros": lambda: session.crosstab(frame.plan, frame.region),
        "sums": lambda: session.crosstab(frame.sex, frame.region, values=frame.income, aggfunc="sum"),
        "sums by plan": lambda: session.crosstab(frame.plan, frame.region, values=frame.income, aggfunc="sum"),
        "means": lambda: session.pivot_table(
            frame, index=["sex"], columns=["plan"], values=["income"], aggfunc=["mean"]
        ),
        "regression": lambda: session.ols(frame.visits, frame[["age", "income"]]),
        "regression on few": lambda: session.ols(
            few.visits, few[["age", "income"]].assign(a=few.age**2, b=few.income**2, c=few.age**3)
        ),
    }


def main(folder):
    import acro
    import pandas

    warnings.filterwarnings("ignore")
    rows = people()
    frame = pandas.DataFrame(rows)
    session = acro.ACRO(suppress=False)
    names = []
    for name, make in tables(session, frame).items():
        make()
        names.append(name)
    for output, name in zip(list(session.results.results), names, strict=True):
        session.add_exception(output, f"made up: {name}")
        session.add_comments(output, name)
    written = folder / "outputs"
    shutil.rmtree(written, ignore_errors=True)
    session.finalise(str(written), "json")
    contributions = {}
    for key in ("sex", "plan"):
        cells = {}
        for row in rows:
            cells.setdefault(f"{row[key]}/{row['region']}", []).append(row["income"])
        contributions[key] = cells
    verdicts = {
        "acro": "1.0.2",
        "config": dict(session.config),
        "outputs": dict(zip(names, list(session.results.results)[: len(names)], strict=True)),
    }
    verdicts["contributions"] = contributions
    (folder / "verdicts.json").write_text(json.dumps(verdicts, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""How fast the disclosure rules look at the largest table that level 4 takes, against a floor measured in the same run.

The floor is what the `csv` module alone needs to read the same text. Target: issue 10 (5,000 rows by 50 columns under a
second, all rules together; two versions compared in as much). Run: `python -m benchmarks.disclosure`.
"""

import csv
import io
import random
import sys
from collections.abc import Callable

from benchmarks.measure import Figure, processor_seconds
from carrel.disclosure.outputs import look_at, look_at_difference
from carrel.disclosure.policy import DisclosurePolicy

ROWS, COLUMNS, TARGET = 5_000, 50, 1.0
POLICY = DisclosurePolicy()


def table(cell: Callable[[random.Random, int], str], *, total: bool = False) -> str:
    """A table with a column of labels, and as many others as `COLUMNS` has with it."""
    chance = random.Random(1)
    names = [f"column_{number}" for number in range(COLUMNS - 2)] + ["total" if total else "last"]
    lines = [",".join(["group", *names])]
    for row in range(ROWS):
        lines.append(",".join([f"G{row % 40}", *(cell(chance, number) for number in range(COLUMNS - 1))]))
    return "\n".join(lines) + "\n"


def mixed(chance: random.Random, number: int) -> str:
    kinds = (
        str(chance.randrange(4_000) * 5),
        f"{chance.random():.6f}",
        "[REDACTED]",
        f"{100 * chance.random():.1f}%",
        f"label {chance.randrange(1_000)}",
    )
    return kinds[number % len(kinds)]


TABLES = {
    "counts that are rounded": table(lambda chance, _: str(chance.randrange(20_000) * 5)),
    "counts that are not": table(lambda chance, _: str(chance.randrange(100))),
    "fractions": table(lambda chance, _: f"{chance.random():.6f}"),
    "counts, fractions, percentages, marks, labels": table(mixed),
    "redacted counts with a total in each row": table(
        lambda chance, _: "[REDACTED]" if chance.random() < 0.01 else str(chance.randrange(2_000) * 5), total=True
    ),
}


def figures() -> list[Figure]:
    figures = []
    for name, text in TABLES.items():
        data = text.encode()
        figures.append(measured(name, lambda data=data: look_at(io.BytesIO(data), ".csv", POLICY), text))
    data = TABLES["counts that are not"].encode()
    other = TABLES["counts that are not"].replace(",10,", ",11,").encode()
    figures.append(
        measured(
            "two versions compared",
            lambda: look_at_difference(io.BytesIO(data), io.BytesIO(other), ".csv", POLICY, "another"),
            TABLES["counts that are not"],
        )
    )
    return figures


def measured(name: str, work: Callable[[], object], text: str, runs: int = 5) -> Figure:
    def floor() -> None:
        for _ in csv.reader(io.StringIO(text)):
            pass

    pairs = [(processor_seconds(work), processor_seconds(floor)) for _ in range(runs)]
    return Figure(name, min(pair[0] for pair in pairs), min(pair[1] for pair in pairs), TARGET)


def main() -> int:
    measured_figures = figures()
    for figure in measured_figures:
        print(figure)
    return 0 if all(figure.good for figure in measured_figures) else 1


if __name__ == "__main__":
    sys.exit(main())

"""How fast a project file is read, against a floor measured in the same run.

The floor is what the C parser alone needs for the same text, without making anything of it.
Times are processor time, work and floor in turn, of each the least disturbed of several runs: machines are shared.
Targets: spec project-yaml.md part 1 (1,000 actions under 60 ms). Run: `python -m benchmarks.project`.
"""

import sys
from collections.abc import Callable

import yaml

from benchmarks.measure import Figure, processor_seconds
from carrel.project import ProjectValidationError, load_pipeline

ACTIONS = 1_000
TARGET = 0.060


def extracting(number: int) -> str:
    path = f"output/dataset_{number}.csv.gz"
    return f"""\
  action_{number}:
    run: ehrql:v1 generate-dataset analysis/dataset_{number}.py --output {path}
    outputs:
      highly_sensitive:
        cohort: {path}
"""


def analysing(number: int) -> str:
    return f"""\
  action_{number}:
    run: python:v2 python analysis/step_{number}.py --input output/dataset.csv.gz
    needs: [action_{number - 1}, action_{number // 2}]
    outputs:
      moderately_sensitive:
        table: output/step_{number}.csv
"""


def study(actions: int = ACTIONS) -> str:
    """A study in which every third action reads the database, and the others need two before them."""
    bodies = [extracting(number) if number % 3 == 0 else analysing(number) for number in range(actions)]
    return "version: '5'\nactions:\n" + "\n".join(bodies)


def parse(text: str) -> None:
    """Every event of the text, and nothing else."""
    loader = yaml.CSafeLoader(text)
    while loader.get_event() is not None:
        pass


def refuse(text: str) -> None:
    try:
        load_pipeline(text)
    except ProjectValidationError:
        return
    raise AssertionError("the broken study was accepted")


def figures() -> list[Figure]:
    text = study()
    broken = text.replace("python:v2", "python:2")
    both = text.replace("version: '5'\n", "version: '5'\nrun_on: [tpp, emis]\n").replace(
        "  action_1:\n", "  action_1:\n    run_on: [tpp, emis]\n"
    )
    pipeline = load_pipeline(both)
    works: list[tuple[str, Callable[[], object], float]] = [
        ("load 1,000 actions", lambda: load_pipeline(text), TARGET),
        ("load 1,000 actions for two backends", lambda: load_pipeline(both), 2 * TARGET),
        ("refuse 1,000 actions with 667 errors", lambda: refuse(broken), 2 * TARGET),
        ("project onto one backend", lambda: pipeline.for_backend("emis"), TARGET),
    ]
    return [Figure(name, *in_turn(work, lambda: parse(text)), target) for name, work, target in works]


def in_turn(work: Callable[[], object], floor: Callable[[], object], runs: int = 15) -> tuple[float, float]:
    """Least seconds of both."""
    pairs = [(processor_seconds(work), processor_seconds(floor)) for _ in range(runs)]
    return min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)


def main() -> int:
    found = figures()
    for figure in found:
        print(figure)
    return 0 if all(figure.good for figure in found) else 1


if __name__ == "__main__":
    sys.exit(main())

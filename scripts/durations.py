"""How long the tests took, from pytest's JUnit files in FOLDER: `durations.py FOLDER [BUDGET MINUTES]`.

Prints the slowest tests, the seconds of each folder of tests, and by how much the whole is under or over its budget;
writes every test with its seconds to FOLDER/slowest.txt. It never fails: a machine may have a bad day, and a test that
is slow is not wrong. Where GitHub runs it, a budget that is exceeded is a warning of the run.
"""

import os
import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

BUDGET_MINUTES = 30
SHOWN = 15


def seconds_of_tests(report: Path) -> tuple[float, list[tuple[float, str]]]:
    """The seconds that pytest ran, by the clock, and of each test with its fixtures, the slowest first."""
    suites = list(ElementTree.parse(report).getroot().iter("testsuite"))  # noqa: S314 (pytest has just written it)
    tests = [
        (float(case.get("time", 0)), f"{case.get('classname', '')}::{case.get('name', '')}")
        for suite in suites
        for case in suite.iter("testcase")
    ]
    return sum(float(suite.get("time", 0)) for suite in suites), sorted(tests, reverse=True)


def verdict(seconds: float, minutes: float) -> str:
    """By how much it is under or over."""
    over = seconds - minutes * 60
    spent = f"the tests took {_clock(seconds)} of a budget of {minutes:g} min"
    return f"OVER BUDGET: {spent}, {_clock(over)} too many" if over > 0 else f"{spent}, {_clock(-over)} to spare"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def main(folder: Path, minutes: float) -> None:
    """Print the report on all of the folder's files."""
    reports = sorted(folder.glob("*.xml"))
    if not reports:
        print(f"there are no reports in {folder}")
        return
    whole = 0.0
    tests: list[tuple[float, str]] = []
    for report in reports:
        seconds, of_report = seconds_of_tests(report)
        whole += seconds
        tests += [(taken, f"{name} ({report.stem})") for taken, name in of_report]
    tests.sort(reverse=True)
    lines = [f"{taken:8.2f} s  {name}" for taken, name in tests]
    rooms: defaultdict[str, float] = defaultdict(float)
    for taken, name in tests:
        rooms[".".join(name.split(".")[:2])] += taken
    print(f"slowest tests (all of them: {folder}/slowest.txt)", *lines[:SHOWN], sep="\n")
    slowest_first = sorted(rooms, key=lambda room: -rooms[room])
    print("seconds of each folder", *(f"{rooms[room]:8.0f} s  {room}" for room in slowest_first), sep="\n")
    print(verdict(whole, minutes))
    if whole > minutes * 60 and os.environ.get("GITHUB_ACTIONS"):
        print(f"::warning title=Tests over budget::{verdict(whole, minutes)}")
    (folder / "slowest.txt").write_text("\n".join([verdict(whole, minutes), *lines, ""]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else BUDGET_MINUTES)

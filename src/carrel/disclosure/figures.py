"""Images, whose numbers no rule can read: whether a file with the numbers stands beside them. Pure."""

import re
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath

from carrel.disclosure.findings import DisclosureFinding, RuleId

IMAGE_TYPES = frozenset({".png", ".jpg", ".jpeg", ".svg", ".svgz"})
NUMBER_TYPES = frozenset({".csv", ".tsv", ".txt", ".json", ".html", ".md"})
"""Types of files that can hold the numbers that a figure shows."""


def image_without_numbers(path: str, beside: Collection[str]) -> Iterator[DisclosureFinding]:
    """An image of whose numbers there is no file among `beside` (paths of the same workspace or request)."""
    if PurePosixPath(path).suffix.lower() in IMAGE_TYPES and not numbers_beside(path, beside):
        message = "no file with the numbers that it shows is beside it (the same name, as .csv)"
        yield DisclosureFinding(rule=RuleId.IMAGE_WITHOUT_NUMBERS, line=0, column="", value="", message=message)


def numbers_beside(path: str, beside: Collection[str]) -> str:
    """The file with the numbers of a figure, "" for none.

    It stands in the same folder and has the same name, or one that begins or ends with the other's words:
    `visits.svg` and `visits.csv`, `visits_data.csv`, `data_visits.csv`; `figure_visits.png` and `visits.csv`.
    """
    image = PurePosixPath(path)
    for other in sorted(beside):
        candidate = PurePosixPath(other)
        if candidate.parent == image.parent and candidate.suffix.lower() in NUMBER_TYPES:
            short, long = sorted((_words(image.stem), _words(candidate.stem)), key=len)
            if short and short in (long[: len(short)], long[-len(short) :]):
                return other
    return ""


def _words(stem: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\W_]+", stem.lower()))

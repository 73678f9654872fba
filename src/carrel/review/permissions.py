"""What each level of a backend may open, as one table. Pure.

Source: review-and-release.md part 1, point 8. A level is of one backend, and opens its own kinds of things and no
others: who needs two levels is given two. On disk the same is said by unix groups (`carrel.agent.level_groups`).
"""

from collections.abc import Set
from dataclasses import dataclass
from enum import Enum

LEVELS = {
    2: "Level 2: the raw database",
    3: "Level 3: highly sensitive files",
    4: "Level 4: moderately sensitive files and logs",
}


@dataclass(frozen=True, slots=True)
class KindOfData:
    """One kind of thing that a backend holds: what it is, the level that opens it, and where it lies.

    `folders`: below the two stores; none for what is no file. `is_on_site`: the review site shows it.
    """

    words: str
    level: int
    folders: tuple[str, ...] = ()
    is_on_site: bool = False


class Data(Enum):
    """Everything there is to open on a backend."""

    DATABASE = KindOfData("the database that studies query, and warehouses", 2)
    HIGHLY_SENSITIVE = KindOfData("outputs of both levels, and full logs", 3, ("high_privacy/workspaces",))
    FULL_LOG = KindOfData("the permanent logs of jobs", 3, ("high_privacy/logs",))
    ATTEMPT = KindOfData("working folders of jobs", 3, ("high_privacy/volumes",))
    ARCHIVE = KindOfData("workspaces put away", 3, ("high_privacy/archives",))
    MODERATELY_SENSITIVE = KindOfData(
        "moderately sensitive outputs, why others are not, redacted logs, the manifest",
        4,
        ("medium_privacy/workspaces",),
        is_on_site=True,
    )
    REQUESTED = KindOfData("copies of requested files", 4, ("medium_privacy/requests",), is_on_site=True)
    RELEASED = KindOfData("released files", 4, ("medium_privacy/releases",), is_on_site=True)


def may_open(levels: Set[int], data: Data) -> bool:
    """Tell whether somebody with these levels on a backend may open this kind of thing there."""
    return data.value.level in levels


def refusal_to_open(levels: Set[int], data: Data) -> str:
    """Return why somebody may not open it, and what to do; "" when they may."""
    if may_open(levels, data):
        return ""
    level, _, words = LEVELS[data.value.level].partition(":")
    return f"You are not a member of {level.lower()} on this backend ({words.strip()}). Its engineers can add you."

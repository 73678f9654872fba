"""Files of archives that belong to no dataset although nobody said so, as when a mapping was forgotten."""

from collections.abc import Mapping as AbstractMapping

from carrel.ingest.desktop import is_left_by_desktop
from carrel.ingest.mapping import Mapping
from carrel.ingest.mapping.model import base_name

NEXT_STEP = (
    "add their schemas to the store and the mapping, or their names to the mapping's `ignored`; then "
    "`carrel ingest replay --all SOURCE` looks again"
)


def count_unmapped(skipped: AbstractMapping[str, int], mapping: Mapping) -> int:
    """How many of the skipped files (path -> how many records have it) nobody left out on purpose.

    A file that a rule of `ignored` names is left out on purpose, and what a desktop left beside files is nobody's data.
    """
    return sum(
        count
        for path, count in skipped.items()
        if mapping.why_ignored(base_name(path)) is None and not is_left_by_desktop(path)
    )


def unmapped_text(count: int) -> str:
    """The number and the next step, for people."""
    return f"Files of no dataset: {count:,} ({NEXT_STEP})"

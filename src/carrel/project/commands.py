"""The command of an action: `image:version argument ...`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from carrel.project.constants import DATABASE_COMMANDS

# Quotes, backslashes, and the white space that str.split() knows and shlex does not.
_needs_shlex = re.compile(r"[\"'\\\x0b\x0c\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]").search


def split_words(text: str) -> list[str]:
    """Words of a command as `shlex.split` makes them; raises ValueError where quotes do not close."""
    return shlex.split(text) if _needs_shlex(text) else text.split()


def is_database_action(args: Sequence[str]) -> bool:
    """Whether a command (`["ehrql:v1", "generate-dataset", ...]`) may reach the database."""
    if not args:
        return False
    allowed = DATABASE_COMMANDS.get(args[0].partition(":")[0], frozenset())
    return allowed is None or (len(args) > 1 and args[1] in allowed)


@dataclass(frozen=True, slots=True)
class RunCommand:
    """A `run` string (`raw`) and its words (`parts`, at least one)."""

    raw: str
    parts: list[str]

    @classmethod
    def parse(cls, raw: str) -> RunCommand:
        """Split `raw`; raises ValueError where quotes do not close."""
        return cls(raw, split_words(raw))

    @property
    def name(self) -> str:
        """Image without its version."""
        return self.parts[0].partition(":")[0]

    @property
    def version(self) -> str:
        return self.parts[0].partition(":")[2]

    @property
    def args(self) -> str:
        """Everything behind the image, joined by spaces, without quotes."""
        return " ".join(self.parts[1:])

    @property
    def is_database_action(self) -> bool:
        return is_database_action(self.parts)

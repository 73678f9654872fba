"""Lists, words of truth, and text that can be stored, as settings and requests write them."""

from collections.abc import Iterable
from typing import Any

TRUE_WORDS = frozenset({"true", "1", "yes", "on"})
FALSE_WORDS = frozenset({"false", "0", "no", "off", ""})


def split_list(text: str) -> tuple[str, ...]:
    """Make `("a", "b")` of `"a, b,"`: the items between commas, without blanks round them. Empty items are left out.

    So an empty text is an empty list, and an empty name is in no list.
    """
    return tuple(item.strip() for item in text.split(",") if item.strip())


def is_true(text: str) -> bool:
    """Read a word of truth, in any case: `true`, `1`, `yes`, `on`, or `false`, `0`, `no`, `off` or nothing.

    Raises ValueError for another word: a switch that is misspelt must not be read as either.
    """
    word = text.strip().lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ValueError(f"{text!r} is neither true nor false (write true or false)")


def list_setting(value: Any) -> Any:
    """Apply `split_list` to a setting; what is no text is left to the setting's own type."""
    return split_list(value) if isinstance(value, str) else value


def truth_setting(value: Any) -> Any:
    """Apply `is_true` to a setting; what is no text is left to the setting's own type."""
    return is_true(value) if isinstance(value, str) else value


def literally_true(value: Any) -> bool:
    """Read a setting that opens a door: only the word `true`, just so written, opens it (contract)."""
    return value is True or value == "true"


def is_storable(text: str) -> bool:
    """False for NUL, which PostgreSQL cannot hold, and for halves of surrogate pairs, which are not Unicode text."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def joined(words: Iterable[object]) -> str:
    """Return `north, south and west`."""
    *first, last = [str(word) for word in words] or [""]
    return f"{', '.join(first)} and {last}" if first else last

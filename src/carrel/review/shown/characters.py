"""Characters that would not be seen, or would change how others are read, as what can be seen. Pure."""

import re
from typing import Final

_ANSI = re.compile(r"\x1b\[[0-9;?]{0,40}[ -/]?[@-~]")
"""Colours and movements of a terminal, as logs have them."""
_UNSEEN: Final = {
    **{code: f"␛{code:02X}" for code in range(32) if chr(code) not in "\t\n"},
    **{
        code: f"⟨U+{code:04X}⟩"
        for code in (
            0x7F, 0xAD, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2028, 0x2029, 0x2060, 0xFEFF,
            *range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xE0000, 0xE0080),
        )
    },
}  # fmt: skip


def visible(text: str) -> str:
    """Return a text in which controls, marks of direction and characters without width stand as their codes."""
    return text.translate(_UNSEEN)


def without_colours(text: str) -> str:
    """Return a log's text without the controls that colour a terminal."""
    return _ANSI.sub("", text)

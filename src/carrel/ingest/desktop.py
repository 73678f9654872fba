"""What desktops leave beside people's files: AppleDouble files, `.DS_Store`, `__MACOSX/`. It is nobody's data."""

from pathlib import PurePosixPath

FOLDER = "__MACOSX"
"""What a Mac puts into zips beside people's files."""
_NAMES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_HEADS = (b"\x00\x05\x16\x07", b"\x00\x05\x16\x00", b"\x00\x00\x00\x01Bud1")
"""What AppleDouble and AppleSingle files (RFC 1740) and .DS_Store files begin with."""


def is_beside_files(path: str) -> bool:
    """Whether a file of this path is one that a desktop made, by a name that cannot be an archive's."""
    parts = PurePosixPath(path).parts
    return FOLDER in parts[:-1] or bool(parts and parts[-1] in _NAMES)


def is_apple_double(path: str) -> bool:
    """Whether the name is that of what a Mac keeps beside another file. In a bucket an archive may be called so."""
    return PurePosixPath(path).name.startswith("._")


def is_left_by_desktop(path: str) -> bool:
    """Whether a file of this path, outside of buckets, is one that a desktop left beside people's files."""
    return is_beside_files(path) or is_apple_double(path)


def has_desktop_signature(head: bytes) -> bool:
    """Whether these first bytes are those of a file that a desktop made, whatever it is called."""
    return head.startswith(_HEADS)

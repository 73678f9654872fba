"""Pictures of pixels before a browser unpacks them: what they are, and how large they would become. Pure."""

from typing import BinaryIO

from carrel.disclosure.images import JPEG, PNG
from carrel.units.limits import MAX_SHOWN_PIXELS, MIB

HEAD_BYTES = MIB
"""How far into a JPEG its size is looked for."""
_NO_FRAMES = frozenset({0xC4, 0xC8, 0xCC})
"""Markers among those of frames that are tables."""


def picture_fault(stream: BinaryIO, suffix: str) -> str:
    """Say why an open file is not shown as the picture that its suffix says it is; "" where it is one.

    The sentence completes "It is not shown: ...".
    """
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    size = _png_size(head) if suffix == ".png" else _jpeg_size(head)
    if size is None:
        return f"its contents are not a {suffix.removeprefix('.')} image"
    if size[0] * size[1] > MAX_SHOWN_PIXELS:
        return f"it would unpack to {size[0]:,} by {size[1]:,} pixels, and {MAX_SHOWN_PIXELS:,} are shown at most"
    return ""


def _png_size(head: bytes) -> tuple[int, int] | None:
    if not head.startswith(PNG) or head[12:16] != b"IHDR" or len(head) < 24:
        return None
    width, height = (int.from_bytes(head[start : start + 4], "big") for start in (16, 20))
    return (width, height)


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    """Return the size that the first frame tells; segments before it are passed over."""
    if not head.startswith(JPEG):
        return None
    start = 2
    while start + 9 <= len(head) and head[start] == 0xFF:
        marker = head[start + 1]
        if marker == 0xFF:
            start += 1
        elif 0xC0 <= marker <= 0xCF and marker not in _NO_FRAMES:
            height, width = (int.from_bytes(head[offset : offset + 2], "big") for offset in (start + 5, start + 7))
            return (width, height)
        else:
            start += 2 + int.from_bytes(head[start + 2 : start + 4], "big")
    return None

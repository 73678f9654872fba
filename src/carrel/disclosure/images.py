"""PNG and JPEG files taken apart: where the image ends, and the bytes in it that are no picture. Pure.

Sources: PNG (Portable Network Graphics) Specification, third edition, sections 5.2 to 5.6 and 11.3; ITU-T T.81 (JPEG),
annex B.
"""

import re
import zlib
from collections.abc import Iterator

from carrel.disclosure.texts import Unreadable
from carrel.units.limits import MAX_LEVEL4_PARTS

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
_PICTURE = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"fdAT", b"fcTL", b"acTL"})
_CHUNK_OVERHEAD = 12
_FOLLOWED = "bytes follow the image's end"


def png_remarks(data: bytes, most: int) -> Iterator[bytes]:
    """The contents of each chunk that is no picture (texts, EXIF, unknown ones), unpacked to at most `most` bytes.

    Raises Unreadable unless the file is one whole PNG image and nothing else.
    """
    if not data.startswith(PNG):
        raise Unreadable("its contents are not a png image")
    start, kind = len(PNG), b""
    for _ in range(MAX_LEVEL4_PARTS):
        length = int.from_bytes(data[start : start + 4], "big")
        first, kind = not kind, data[start + 4 : start + 8]
        end = start + _CHUNK_OVERHEAD + length
        if end > len(data) or (first and kind != b"IHDR"):
            raise Unreadable("it is not a whole png image")
        if zlib.crc32(memoryview(data)[start + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise Unreadable("it is a damaged png image")
        if kind == b"IEND":
            if end != len(data):
                raise Unreadable(_FOLLOWED)
            return
        if kind not in _PICTURE:
            yield from _chunk_text(kind, data[start + 8 : end - 4], most)
        start = end
    raise Unreadable(f"it has more than {MAX_LEVEL4_PARTS:,} chunks")


def _chunk_text(kind: bytes, content: bytes, most: int) -> Iterator[bytes]:
    """A chunk as it stands, and unpacked where its kind may be compressed."""
    yield content
    keyword, _, rest = content.partition(b"\0")
    if kind in (b"zTXt", b"iCCP"):
        yield keyword + b"\0" + inflated(rest[1:], most)
    elif kind == b"iTXt" and rest[:1] == b"\1":
        _, _, packed = rest[2:].partition(b"\0")
        yield keyword + b"\0" + inflated(packed.partition(b"\0")[2], most)


def inflated(packed: bytes, most: int, *, gzip: bool = False) -> bytes:
    """One zlib (or gzip) stream unpacked. Raises Unreadable when it is none, is cut, or gives over `most` bytes."""
    what = "gzip" if gzip else "zlib"
    unpacker = zlib.decompressobj(wbits=31 if gzip else 15)
    try:
        data = unpacker.decompress(packed, most + 1)
    except zlib.error:
        raise Unreadable(f"it is not {what} data") from None
    if len(data) > most:
        raise Unreadable("it is too large once unpacked")
    if not unpacker.eof or unpacker.unused_data:
        raise Unreadable(f"it is not one whole {what} stream")
    return data


_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_IMAGE_TABLES = frozenset({*range(0xC0, 0xE0)})
"""Frames, Huffman and quantisation tables, scans: the picture."""
_NEXT_MARKER = re.compile(rb"\xff++[^\x00\xd0-\xd7\xff]")


def jpeg_remarks(data: bytes) -> Iterator[bytes]:
    """The contents of each segment that is no picture (applications' ones such as EXIF, comments).

    Raises Unreadable unless the file is one whole JPEG image and nothing else.
    """
    if not data.startswith(JPEG):
        raise Unreadable("its contents are not a jpg image")
    start = 2
    for _ in range(MAX_LEVEL4_PARTS):
        while data[start : start + 2] == b"\xff\xff":
            start += 1
        if data[start : start + 1] != b"\xff" or start + 2 > len(data):
            raise Unreadable("it is not a whole jpg image")
        marker = data[start + 1]
        if marker == _END_OF_IMAGE:
            if start + 2 != len(data):
                raise Unreadable(_FOLLOWED)
            return
        if marker in _STANDALONE:
            start += 2
            continue
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        if end > len(data) or end < start + 4:
            raise Unreadable("it is not a whole jpg image")
        if marker not in _IMAGE_TABLES:
            yield data[start + 4 : end]
        start = end
        if marker == _START_OF_SCAN:
            following = _NEXT_MARKER.search(data, end)
            if following is None:
                raise Unreadable("it is not a whole jpg image")
            start = following.end() - 2
    raise Unreadable(f"it has more than {MAX_LEVEL4_PARTS:,} segments")

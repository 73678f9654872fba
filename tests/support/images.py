"""Small images, whole and broken, with texts within."""

import struct
import zlib

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(*remarks: tuple[bytes, bytes]) -> bytes:
    """One grey pixel, with further chunks of (kind, contents)."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    picture = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return PNG_SIGNATURE + header + b"".join(chunk(*remark) for remark in remarks) + picture + chunk(b"IEND", b"")


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def jpeg(*remarks: tuple[int, bytes]) -> bytes:
    """The frame of an image (its picture is noise), with further segments of (marker, contents)."""
    frame = segment(0xC0, bytes([8, 0, 1, 0, 1, 1, 1, 0x11, 0]))
    scan = segment(0xDA, bytes([1, 1, 0, 0, 63, 0])) + b"\x12\x34\xff\x00\x56\xff\xd0\x78"
    return b"\xff\xd8" + b"".join(segment(*remark) for remark in remarks) + frame + scan + b"\xff\xd9"

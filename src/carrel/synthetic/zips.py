"""Zip files that are the same byte by byte each time, well-formed and not."""

import io
import struct
import warnings
import zipfile
from collections.abc import Iterable

_EPOCH = (2024, 1, 1, 0, 0, 0)
BOMB_BYTES = 300_000_000


def archive(entries: Iterable[tuple[str, bytes]]) -> bytes:
    """A deflated zip of (path, bytes), in order; a path that ends in `/` is a folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as file:
        for path, data in entries:
            info = zipfile.ZipInfo(path, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o600 << 16
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # duplicate names are what some archives are for
                file.writestr(info, data)
    return buffer.getvalue()


def bomb(path: str) -> bytes:
    """A small zip whose one entry unpacks to `BOMB_BYTES` zeros."""
    buffer = io.BytesIO()
    info = zipfile.ZipInfo(path, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(buffer, "w") as file, file.open(info, "w") as entry:
        block = b" " * 1_000_000
        for _ in range(BOMB_BYTES // len(block)):
            entry.write(block)
    return buffer.getvalue()


def truncate(data: bytes) -> bytes:
    """Cut where an interrupted upload would: the central directory is gone."""
    return data[: len(data) * 2 // 3]


def spoil_crc(data: bytes, path: str) -> bytes:
    """The entry's checksum, in both headers, no longer fits its bytes."""
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        info = opened.getinfo(path)
        central = _central_offset(data, path)
    wrong = struct.pack("<L", info.CRC ^ 0xFFFFFFFF)
    spoilt = bytearray(data)
    spoilt[info.header_offset + 14 : info.header_offset + 18] = wrong
    spoilt[central + 16 : central + 20] = wrong
    return bytes(spoilt)


def mark_encrypted(data: bytes) -> bytes:
    """Every entry says it is encrypted (flag bit 0), as a password-protected export does."""
    spoilt = bytearray(data)
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = spoilt.find(signature)
        while at >= 0:
            spoilt[at + flags] |= 1
            at = spoilt.find(signature, at + 4)
    return bytes(spoilt)


def _central_offset(data: bytes, path: str) -> int:
    name = path.encode()
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        length = struct.unpack("<H", data[at + 28 : at + 30])[0]
        if data[at + 46 : at + 46 + length] == name:
            return at
        at = data.find(b"PK\x01\x02", at + 4)
    raise KeyError(path)

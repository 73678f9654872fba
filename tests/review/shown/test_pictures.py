"""Pictures are looked at before a browser unpacks them."""

import io

import pytest
from tests.support.hostile_files import png

from carrel.review.shown.pictures import picture_fault

SOI, APP0 = b"\xff\xd8", b"\xff\xe0\x00\x04ab"


def jpeg(width: int, height: int) -> bytes:
    frame = b"\xff\xff\xc0\x00\x11\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\x03" * 10
    return SOI + APP0 + b"\xff\xc4\x00\x02" + frame


@pytest.mark.parametrize(
    ("data", "suffix", "says"),
    [
        (png(400, 300, b""), ".png", ""),
        (png(20_000, 20_000, b""), ".png", "20,000 by 20,000 pixels"),
        (png(4, 3, b"")[:20], ".png", "not a png image"),
        (jpeg(400, 300), ".jpg", ""),
        (jpeg(60_000, 60_000), ".jpeg", "60,000 by 60,000 pixels"),
        (SOI + APP0 * 3, ".jpg", "not a jpg image"),
        (png(4, 3, b""), ".jpg", "not a jpg image"),
        (b"<html>", ".png", "not a png image"),
    ],
)
def test_only_pictures_of_a_size_are_shown(data: bytes, suffix: str, says: str) -> None:
    fault = picture_fault(io.BytesIO(data), suffix)
    assert says in fault
    assert bool(says) is bool(fault)

"""Records of a table, in bounded memory, whatever the bytes are."""

import contextlib
import csv
import io
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.memory import peak_above

from carrel.disclosure.records import records_of
from carrel.disclosure.texts import Unreadable, blocks_of, decoded, lines_of
from carrel.units.limits import MAX_TABLE_LINE, MAX_TABLE_RECORD, READ_BLOCK_BYTES

BREAKS = ("\n", "\r", "\r\n")


def pieces(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


@pytest.mark.parametrize(("size", "end"), list(product(range(1, 6), BREAKS)))
def test_lines_are_whole_however_the_blocks_fall(size: int, end: str) -> None:
    text = f"a{end}{end}bb{end}c"
    assert [line for lines in lines_of(pieces(text, size)) for line in lines] == [f"a{end}", end, f"bb{end}", "c"]


@given(st.text(alphabet='a,"\r\n', max_size=40), st.integers(1, 7))
def test_records_are_those_of_csv(text: str, size: int) -> None:
    expected = list(csv.reader(io.StringIO(text, newline="")))
    assert [fields for _, fields in records_of(pieces(text, size))] == expected


def test_a_record_has_the_number_of_its_first_line() -> None:
    text = 'a,b\n"x\ny",2\n\n3,4\n'
    assert list(records_of([text])) == [(1, ["a", "b"]), (2, ["x\ny", "2"]), (4, []), (5, ["3", "4"])]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("naïve\n".encode("latin-1"), "it is not UTF-8 text"),
        ("a,b\n".encode("utf-16"), "it is not UTF-8 text"),
        ("naïve".encode()[:3], "it is not UTF-8 text"),
        (b"a\0b\n", "it holds NUL characters"),
        (b"x" * (MAX_TABLE_LINE + 2 * READ_BLOCK_BYTES), "a line is longer than 1,048,576 characters"),
        (b"n\n" + b"x" * 200_000 + b"\n", "a field is too large"),
        (b'"' + b'\n","' * MAX_TABLE_RECORD, "a record is longer than 1,048,576 characters"),
    ],
)
def test_what_has_no_end_or_is_no_text_is_told(data: bytes, why: str) -> None:
    with pytest.raises(Unreadable) as refused:
        list(records_of(decoded(blocks_of(io.BytesIO(data)))))
    assert str(refused.value) == why


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks(encoding: str) -> None:
    data = "naïve,n\n".encode(encoding)
    assert "".join(decoded([data[:5], data[5:]], by_mark=True)) == "naïve,n\n"


@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_come_to_an_end(data: bytes, size: int) -> None:
    blocks = [data[start : start + size] for start in range(0, len(data), size)]
    count = 0
    with contextlib.suppress(Unreadable):
        for _ in records_of(decoded(blocks, by_mark=True)):
            count += 1
    assert count <= len(data)


def test_reading_can_be_ended_between_blocks() -> None:
    class Cancelled(Exception):
        pass

    blocks_left = iter([None] * 3)

    def pulse() -> None:
        if next(blocks_left, Cancelled) is Cancelled:
            raise Cancelled

    stream = io.BytesIO(b"1\n" * READ_BLOCK_BYTES * 10)
    with pytest.raises(Cancelled):
        list(records_of(decoded(blocks_of(stream, pulse))))
    assert stream.tell() <= 3 * READ_BLOCK_BYTES


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["\n", ",", "a\n", '"\n', '"\n","', "\r", "\U0001f600,\n"])
def test_memory_is_bounded(unit: str) -> None:
    """Each of these needed up to 1.4 GB for 16 MiB when the table was a list."""
    peak = peak_above(
        "from carrel.disclosure.records import records_of\n"
        "from carrel.disclosure.texts import Unreadable, blocks_of, decoded\n",
        f"unit = {unit.encode()!r}\n"
        "import io\n"
        "class Endless(io.RawIOBase):\n"
        "    left = 16 << 20\n"
        "    def read(self, size):\n"
        "        size = min(size, self.left)\n"
        "        self.left -= size\n"
        "        return (unit * (size // len(unit) + 1))[:size]\n"
        "try:\n"
        "    for record in records_of(decoded(blocks_of(Endless()))): pass\n"
        "except Unreadable: pass\n",
    )
    assert peak < 60 << 20

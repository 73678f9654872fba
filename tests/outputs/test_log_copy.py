"""The copy of a log for level 4: nothing secret, whatever block it lies across, and no larger than it need be."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.memory import peak_above

from carrel.outputs import logs
from carrel.outputs.logs import REDACTED, write_level4_copy
from carrel.telemetry.redaction import spellings

SECRETS = {"postgresql://me:s3cr3t@db/x", "s3cr3t", "s3cr3t-and-more", "key word&"}


def _copy(folder: Path, data: bytes, secrets: set[str] = SECRETS) -> bytes:
    source, target = folder / "log", folder / "copy"
    source.write_bytes(data)
    write_level4_copy(source, target, secrets)
    return target.read_bytes()


@pytest.mark.parametrize("offset", range(-32, 3))
def test_a_secret_across_two_blocks_is_redacted_whole(tmp_path: Path, offset: int) -> None:
    before = b"x" * (logs.BLOCK + offset)
    for secret in [*SECRETS, "key%20word%26"]:
        text = _copy(tmp_path, before + secret.encode() + b" end\n")
        assert text == before + REDACTED.encode() + b" end\n"


@given(st.lists(st.sampled_from(["s3cr3t", "s3cr3t-and-more", "s3cr", "3t", "x", "\n", "é", "-and"]), max_size=40))
def test_blocks_change_nothing(parts: list[str]) -> None:
    data = "".join(parts).encode()
    forms = {spelling.encode() for spelling in spellings(SECRETS)}
    whole = b"".join(logs._redacted([data], forms))
    assert b"".join(logs._redacted([data[n : n + 3] for n in range(0, len(data), 3)], forms)) == whole
    assert b"s3cr3t" not in whole


def test_characters_across_blocks_and_bytes_that_are_none(tmp_path: Path) -> None:
    before = b"x" * (logs.BLOCK - 1)
    assert _copy(tmp_path, before + "é\n".encode() + b"caf\xe9\n") == before + "é\n".encode() + b"caf\\xe9\n"


def test_a_log_of_bytes_that_are_no_text_does_not_grow(tmp_path: Path) -> None:
    size = 8 * logs.BLOCK
    copy = _copy(tmp_path, b"\xff" * size)
    assert copy == b"?" * size


def test_a_long_table_is_noted_for_checkers(tmp_path: Path) -> None:
    copy = _copy(tmp_path, b"id,age\n" + b"1,2\n" * 60)
    assert copy.startswith(b"NOTE FOR OUTPUT CHECKERS: this log holds a table of 61 lines.\n")


PREPARE = "from pathlib import Path; from carrel.outputs.logs import write_level4_copy"


@pytest.mark.parametrize("line", [b"patient_id,age,1001,34\n" * 40, b"\xff" * 65535 + b"\n", b"a,b" * 100_000])
def test_memory_does_not_grow_with_the_log(tmp_path: Path, line: bytes) -> None:
    source = tmp_path / "log"
    with source.open("wb") as log:
        for _ in range((32 << 20) // len(line)):
            log.write(line)
    code = f"write_level4_copy(Path({str(source)!r}), Path({str(source)!r} + '.copy'), {{'secret'}})"
    assert peak_above(PREPARE, code) < 20 << 20

"""The log as the supervisor keeps it in files, read back by whoever looks at the attempt."""

import os
from pathlib import Path

import pytest
from tests.support.disks import small_disk

from carrel.executors.logs import marker
from carrel.executors.state_folders import SupervisedProcess
from carrel.executors.supervisor import CHUNK, EXIT_RECORD_BYTES, Log

LINE = 1000
HALF = 2 * CHUNK  # the least that the supervisor keeps as its head


def line(number: int) -> bytes:
    return b"%06d" % number + b"x" * (LINE - 7) + b"\n"


def numbers(process: SupervisedProcess) -> list[int]:
    return [int(text.split()[1][:6]) for text in b"".join(process.read_log()).splitlines() if b"xxx" in text]


def size(folder: Path) -> int:
    return sum(place.stat().st_size for place in folder.glob("log.*"))


@pytest.mark.parametrize("lines", [1, 130, 300, 500, 2_000, 3_333])
def test_lines_come_back_in_order_when_no_clock_tells_the_files_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: int
) -> None:
    """The kernel's file times go by ticks of 4 to 10 ms, in which a program fills more than one file."""
    monkeypatch.chdir(tmp_path)
    log = Log(2 * HALF)
    for number in range(lines):
        log.feed(line(number))
    log.finish()
    for place in tmp_path.glob("log.*"):
        os.utime(place, ns=(0, 0))
    kept = numbers(SupervisedProcess(tmp_path))
    assert kept == sorted(kept)
    assert (kept[0], kept[-1]) == (0, lines - 1)
    stamped = len(next(SupervisedProcess(tmp_path).read_log()).partition(b"\n")[0]) + 1
    assert len(kept) * stamped + log.dropped == lines * stamped
    assert size(tmp_path) <= 3 * HALF


def test_a_full_disk_loses_lines_and_counts_them_and_room_made_is_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "small"
    with small_disk(place, "512k"):
        monkeypatch.chdir(place)
        log = Log(2 * HALF)
        filler = Path("filler")
        filler.write_bytes(bytes(300 << 10))
        for number in range(1_000):
            log.feed(line(number))
        filler.unlink()
        for number in range(1_000, 1_100):
            log.feed(line(number))
        log.finish()
        kept = numbers(SupervisedProcess(place))
        assert kept == sorted(kept)
        assert (kept[0], kept[-1]) == (0, 1_099)
        assert size(place) + log.dropped == 1_100 * (LINE + len(b"2026-01-01T00:00:00.000000000Z "))
        monkeypatch.undo()


def test_the_marker_stands_between_head_and_tail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    log = Log(2 * HALF)
    for number in range(2_000):
        log.feed(line(number))
    record = dict.fromkeys(("exit_code", "failed", "finished", "oom_kills", "memory_peak", "cpu_microseconds"), 0)
    text = "".join(f"{key} {value}\n" for key, value in (record | {"log_dropped": log.dropped}).items()) + "end\n"
    assert len(text) < EXIT_RECORD_BYTES
    (tmp_path / "exit").write_text(text)
    whole = b"".join(SupervisedProcess(tmp_path).read_log())
    head, _, tail = whole.partition(marker(log.dropped))
    assert head == (tmp_path / "log.head").read_bytes()
    assert tail.endswith(line(1_999))

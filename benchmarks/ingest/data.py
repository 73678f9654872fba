"""The archives that ingest is timed with, made once and kept in the temp folder.

A record is what a phone sends after one assessment: a motion file of two sensors at 100 Hz for half a minute (6,000
samples), task data of 50 steps with 3 interactions each, sound levels, weather, metadata. The generator of
`carrel ingest generate` makes them; only the motion files are rewritten, because a phone prints floats with all their
digits and names the whole path of the step.
"""

import json
import random
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from carrel.synthetic import Knobs, zips
from carrel.synthetic.shapes import Content, Draw, File, draw_content, with_metadata

RECORDS = 200
_VERSION = 1
_SIZE = "json-bytes.txt"
_KNOBS = Knobs(hz=100, seconds=30, steps=(50, 50), interactions_per_step=3, nulls=0.02)
_FIRST = datetime(2024, 1, 1, 9, 0, tzinfo=UTC)
_STEP_PATH = "spelling/instructions/practice/words"


@dataclass(frozen=True)
class Archives:
    """A folder of zips, each with its sidecar. `json_bytes`: all of their JSON that is taken into tables."""

    folder: Path
    records: int
    json_bytes: int


def archives(records: int = RECORDS, first: int = 0) -> Archives:
    """So many archives, from the record numbered `first` on; the same bytes whenever they are made."""
    return _some("archives", records, first, lambda file: True)


def small(records: int, first: int) -> Archives:
    """As `archives`, without the motion files."""
    return _some("small", records, first, lambda file: file.name != "motion.json", replace(_KNOBS, seconds=0))


def motion_only(records: int) -> Archives:
    """As `archives`, nothing but motion files."""
    return _some("motion", records, 0, lambda file: file.name == "motion.json")


def _some(kind: str, records: int, first: int, wanted: Callable[[File], bool], knobs: Knobs = _KNOBS) -> Archives:
    folder = _home() / f"{kind}-{_VERSION}-{first}-{records}"
    if not folder.exists():
        _made_whole(folder, lambda fresh: _write(fresh, range(first, first + records), wanted, knobs))
    return Archives(folder, records, int((folder / _SIZE).read_text()))


def one_long_motion(size: int = 1_000_000_000) -> Archives:
    """One archive whose motion file has `size` bytes of JSON."""
    folder = _home() / f"long-{_VERSION}-{size}"
    if not folder.exists():
        _made_whole(folder, lambda fresh: _write_long(fresh, size))
    return Archives(folder, 1, size)


def _home() -> Path:
    home = Path(tempfile.gettempdir()) / "carrel-bench-ingest"
    home.mkdir(exist_ok=True)
    return home


def _made_whole(folder: Path, fill: Callable[[Path], None]) -> None:
    """Under another name until it is whole, so that a stopped run leaves nothing half made."""
    fresh = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        fill(fresh)
        fresh.rename(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _write(folder: Path, numbers: range, wanted: Callable[[File], bool], knobs: Knobs) -> None:
    total = 0
    for number in numbers:
        made, metadata = record(number, knobs)
        files = [(file, encoded(file.value)) for file in made.files if wanted(file)]
        total += sum(len(data) for file, data in files if file.dataset)
        _put(folder, number, zips.archive((file.name, data) for file, data in files), metadata)
    (folder / _SIZE).write_text(str(total))


def _put(folder: Path, number: int, data: bytes, metadata: dict[str, str]) -> None:
    (folder / f"{number:06d}.zip").write_bytes(data)
    (folder / f"{number:06d}.json").write_text(json.dumps(metadata))


def record(number: int, knobs: Knobs = _KNOBS) -> tuple[Content, dict[str, str]]:
    """The content and metadata of one record; every record has values of its own."""
    rng = random.Random(number)
    at = _FIRST + timedelta(days=number % 28, minutes=number)
    made = draw_content(Draw(rng, knobs), "task", at)
    for file in made.files:
        if file.name == "motion.json":
            _print_all_digits(file.value, rng)
    return with_metadata(made, at, "iPhone OS", False), _metadata(rng, number, at)


def _print_all_digits(rows: list[dict[str, Any]], rng: random.Random) -> None:
    start = rows[0]["uptime"]
    for row in rows:
        row["stepPath"] = _STEP_PATH
        if "x" in row:
            row |= {axis: rng.gauss(0, 1) for axis in "xyz"}
            row["uptime"] = start + row["timestamp"] + rng.random() / 1_000


def _metadata(rng: random.Random, number: int, at: datetime) -> dict[str, str]:
    uploaded = at + timedelta(minutes=rng.randint(1, 600))
    return {
        "recordid": f"{rng.getrandbits(96):024x}",
        "appid": "mobile-toolbox",
        "assessmentid": "reading",
        "assessmentrevision": "5",
        "healthcode": f"participant-{number % 50:04d}",
        "clientinfo": json.dumps({"appName": "bench", "appVersion": 73, "osName": "iPhone OS", "osVersion": "15.1"}),
        "participantversion": "1",
        "uploadedon": uploaded.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "exportedon": (uploaded + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
    }


def encoded(value: Any) -> bytes:
    """As a phone writes it: no blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _write_long(folder: Path, size: int) -> None:
    """The same few records' samples over and over: what they say does not matter, only how many they are."""
    made, metadata = record(0)
    head = next(file for file in made.files if file.name == "metadata.json")
    with zipfile.ZipFile(folder / "000000.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
        zipped.writestr("metadata.json", encoded(head.value))
        with zipped.open("motion.json", "w", force_zip64=True) as out:
            for block in _long_blocks(size):
                out.write(block)
    (folder / "000000.json").write_text(json.dumps(metadata))


def _long_blocks(size: int) -> Iterator[bytes]:
    bodies = [encoded(_motion_of(number))[1:-1] for number in range(20)]
    yield b"[" + bodies[0]
    written = len(bodies[0]) + 2
    number = 1
    while written < size:
        body = bodies[number % len(bodies)]
        yield b"," + body
        written += len(body) + 1
        number += 1
    yield b"]"


def _motion_of(number: int) -> Any:
    return next(file.value for file in record(number)[0].files if file.name == "motion.json")

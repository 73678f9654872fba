"""The six shapes of archives (ingest.md section 5), as values: which files a record holds, and where each belongs."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from carrel.synthetic.knobs import SHAPES, Knobs

BASE = "https://sage-bionetworks.github.io/mobile-client-json/schemas"
ARCHIVE_METADATA = f"{BASE}/v2/ArchiveMetadata.json"
MOTION = f"{BASE}/v2/MotionRecord.json"
AUDIO = f"{BASE}/v2/AudioLevelRecord.json"
WEATHER = f"{BASE}/v2/WeatherResult.json"
TAPPING = f"{BASE}/v1/TappingResultObject.json"
SURVEY = f"{BASE}/v2/AssessmentResultObject.json"
TASK_DATA = "https://example.org/schemas/taskData.json"
"""Self-described task data names this schema."""

HANDS = ("left", "right")
ANYTHING = "https://example.org/schemas/anything.json"
"""A schema that lets everything through, for what only the tables can refuse."""

SCHEMAS = Path(__file__).parent / "schemas"
"""The archive map and every schema that synthetic archives are checked against: our own words, under the `$id`s that
the apps' published ones have, so that the shipped mapping knows them."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of an archive. `dataset` None: no mapping wants it. `value` is its JSON; `data` its bytes when made."""

    name: str
    value: Any
    dataset: str | None
    schema_id: str | None = None
    data: bytes | None = None
    fault: str | None = None
    """Keyword of the quarantine line this file must end in, when it must."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a record is made of before it is zipped."""

    assessment: str
    revision: int
    files: tuple[File, ...]
    legacy_client_info: bool = False


class Draw:
    """Random choices by the knobs, all from one seeded source."""

    def __init__(self, rng: random.Random, knobs: Knobs):
        self.rng = rng
        self.knobs = knobs

    def number(self, low: float, high: float) -> float | int:
        """A float; now and then whole and written as an integer, as phones do."""
        if self.rng.random() < self.knobs.int_noise:
            return self.rng.randint(int(low), int(high))
        return round(self.rng.uniform(low, high), 6)

    def maybe(self, into: dict[str, Any], key: str, make: Callable[[], Any]) -> None:
        """Put an optional key: present, null, or absent."""
        if self.rng.random() < self.knobs.optional_keys:
            into[key] = None if self.rng.random() < self.knobs.nulls else make()

    def maybe_array(self, into: dict[str, Any], key: str, make: Callable[[], list[Any]]) -> None:
        """An optional array: full, empty, null or absent."""
        if self.rng.random() < self.knobs.optional_keys:
            into[key] = self.rng.choice([[], None]) if self.rng.random() < self.knobs.nulls else make()


def motion(draw: Draw, at: datetime, step: str) -> list[dict[str, Any]]:
    """A marker element, then gyro and accelerometer samples in turn."""
    uptime = round(draw.rng.uniform(1e4, 1e6), 3)
    rows: list[dict[str, Any]] = [
        {"stepPath": step, "timestamp": 0, "timestampDate": at.isoformat(timespec="milliseconds"), "uptime": uptime}
    ]
    count = int(draw.knobs.hz * draw.knobs.seconds)
    for number in range(count):
        for sensor in ("gyro", "accelerometer"):
            passed = round((number + 1) / draw.knobs.hz, 4)
            rows.append(
                {
                    "sensorType": sensor,
                    "uptime": round(uptime + passed, 4),
                    "timestamp": passed,
                    "stepPath": step,
                    "x": draw.number(-2, 2),
                    "y": draw.number(-2, 2),
                    "z": draw.number(-2, 2),
                }
            )
    return rows


def audio(draw: Draw, at: datetime) -> list[dict[str, Any]]:
    uptime = round(draw.rng.uniform(1e4, 1e6), 3)
    rows: list[dict[str, Any]] = []
    for number in range(4):
        row: dict[str, Any] = {
            "timestamp": number,
            "uptime": uptime + number,
            "timeInterval": 1,
            "peak": draw.number(-60, 0),
        }
        if number == 0:
            row["timestampDate"] = at.isoformat(timespec="milliseconds")
        if draw.rng.random() < draw.knobs.optional_keys:
            row["average"] = draw.number(-80, -20)
        rows.append(row)
    return rows


def weather(draw: Draw, at: datetime) -> dict[str, Any]:
    when = at.isoformat(timespec="milliseconds")
    report = {
        "identifier": "weather",
        "provider": "openWeather",
        "startDate": when,
        "temperature": draw.number(-10, 35),
        "humidity": draw.number(0, 100),
        "wind": {"speed": draw.number(0, 30), "degrees": draw.number(0, 359)},
    }
    air = {
        "identifier": "airQuality",
        "provider": "airNow",
        "startDate": when,
        "aqi": draw.number(0, 200),
        "category": {"number": 2, "name": "Moderate"},
    }
    return {
        "type": "weather",
        "identifier": "weather",
        "startDate": when,
        "endDate": when,
        "weather": report,
        "airQuality": air,
    }


def task_data(draw: Draw) -> dict[str, Any]:
    """Steps, interactions with their controls, scores: three levels of arrays and a struct."""
    steps = [_step(draw, number) for number in range(draw.rng.randint(*draw.knobs.steps))]
    data: dict[str, Any] = {
        "taskName": "reading 📖",
        "locale": draw.rng.choice(["en", "es"]),
        "steps": steps,
        "stepHistory": [step["identifier"] for step in steps],
        "scores": {"finalTheta": draw.number(-3, 3), "finalSE": draw.number(0, 1), "itemCount": len(steps)},
    }
    draw.maybe_array(data, "taskStatus", lambda: ["completed"])
    draw.maybe_array(
        data, "consideredSteps", lambda: [{"identifier": s["identifier"], "exposure": draw.number(0, 1)} for s in steps]
    )
    if draw.rng.random() < draw.knobs.odd_keys:
        data.update(_odd(draw))
    return data


def _step(draw: Draw, number: int) -> dict[str, Any]:
    step: dict[str, Any] = {"identifier": f"item{number}", "position": number, "theta": draw.number(-3, 3)}
    draw.maybe(step, "score", lambda: draw.rng.choice([0, 1]))
    draw.maybe(step, "responseTime", lambda: draw.number(0, 9))
    draw.maybe_array(
        step, "interactions", lambda: [_interaction(draw) for _ in range(draw.knobs.interactions_per_step)]
    )
    return step


def _interaction(draw: Draw) -> dict[str, Any]:
    interaction: dict[str, Any] = {
        "userInteractionIdentifier": draw.rng.choice(["left", "right"]),
        "controlEvent": draw.rng.sample(["touchDown", "touchUp"], draw.rng.randint(1, 2)),
        "timestamp": draw.number(0, 100),
    }
    draw.maybe(interaction, "value", lambda: draw.rng.choice(["yes", "no", "naïve ☕", ""]))
    return interaction


def _odd(draw: Draw) -> dict[str, Any]:
    """Keys that a careless table maker trips over."""
    long = "long" + "g" * 150
    return {
        "with.dot": draw.rng.randint(0, 9),
        "with space": "s",
        "with_dot": 2.5,
        "id": "mine",
        "index": 7,
        "year": "2020",
        "recordid": "not the record's",
        "stepPath": "a/b",
        "steppath": "c/d",
        "clé 🗝": True,
        long: 1,
        "mixed": draw.rng.choice([1, 1.5, "one", True]),
        "nested": [[1, 2], [], [3]],
        "mixed_list": [1, {"a": 1}, "x", None, [True]],
        "empty": {},
    }


def tapping(draw: Draw, at: datetime, hand: str) -> dict[str, Any]:
    samples = [
        {
            "stepPath": f"Tapping/{hand}",
            "timestamp": draw.number(0, 20),
            "uptime": draw.number(1e4, 1e5),
            "buttonIdentifier": draw.rng.choice(["left", "right", "none"]),
            "location": [draw.number(0, 320), draw.number(0, 640)],
            "duration": draw.number(0, 1),
        }
        for _ in range(draw.rng.randint(*draw.knobs.steps))
    ]
    when = at.isoformat(timespec="milliseconds")
    return {
        "type": "tapping",
        "identifier": hand,
        "startDate": when,
        "endDate": when,
        "viewSize": "{320.0, 640.0}",
        "buttonRectLeft": "{{60.0, 500.0}, {40.0, 40.0}}",
        "buttonRectRight": "{{160.0, 500.0}, {40.0, 40.0}}",
        "tapCount": len(samples),
        "samples": samples,
    }


def survey(draw: Draw, at: datetime) -> dict[str, Any]:
    """Polymorphic results inside results: recursion two deep."""
    when = at.isoformat(timespec="milliseconds")

    def answer(number: int) -> dict[str, Any]:
        return {
            "type": "answer",
            "identifier": f"question{number}",
            "startDate": when,
            "endDate": when,
            "answerType": {"type": "integer"},
            "value": draw.rng.randint(0, 10),
        }

    section = {
        "type": "section",
        "identifier": "mood",
        "startDate": when,
        "endDate": when,
        "stepHistory": [answer(number) for number in range(2)],
        "asyncResults": [],
        "path": [{"identifier": "question0", "direction": "forward"}],
    }
    return {
        "type": "assessment",
        "identifier": "daily",
        "startDate": when,
        "endDate": when,
        "taskRunUUID": f"{draw.rng.getrandbits(32):08x}-0000-4000-8000-000000000000",
        "stepHistory": [section, answer(9)],
        "asyncResults": [],
        "path": [{"identifier": "mood", "direction": "forward"}],
    }


def draw_content(draw: Draw, shape: str, at: datetime) -> Content:
    """The files of one record of this shape, metadata.json not among them."""
    match shape:
        case "task":
            return Content(
                "reading",
                5,
                (
                    _motion_file(draw, at, "motion.json"),
                    File("microphone_levels.json", audio(draw, at), "AudioLevelRecord_v1", AUDIO),
                    File("weather.json", weather(draw, at), "WeatherResult_v1", WEATHER),
                    File("taskData.json", task_data(draw), "sharedSchema_v1", TASK_DATA),
                    File("info.json", {"format": "v2_generic"}, None),
                    File("taskData", {"older": "duplicate"}, None),
                ),
            )
        case "tapping":
            motions = [_motion_file(draw, at, f"{hand}_motion.json") for hand in HANDS]
            taps = [
                File(f"{hand}_tapping", tapping(draw, at, hand), "TappingResultObject_v1", TAPPING) for hand in HANDS
            ]
            return Content("finger-tapping", 1, (*motions, *taps))
        case "walking":
            names = ("walk_motion.json", "balance_motion.json")
            return Content("walk-and-balance", 1, tuple(_motion_file(draw, at, name) for name in names))
        case "self_described":
            file = File("taskData.json", task_data(draw), "sharedSchema_v1", TASK_DATA)
            return Content("verbal-reasoning", 1, (file,))
        case "survey":
            file = File("assessmentResult.json", survey(draw, at), "AssessmentResultObject_v1", SURVEY)
            return Content("daily-survey", 1, (file,))
        case "android_legacy":
            return _android(draw, at)
        case _:
            raise ValueError(f"there is no shape {shape}; there are: {', '.join(SHAPES)}")


def _motion_file(draw: Draw, at: datetime, name: str) -> File:
    return File(name, motion(draw, at, name.split(".")[0]), "MotionRecord_v1", MOTION)


def _android(draw: Draw, at: datetime) -> Content:
    """Quirks that the default rules forgive: no `type` in weather, `acceleration`, no stepPath, null eventAccuracy."""
    rows = motion(draw, at, "step")
    for row in rows:
        del row["stepPath"]
        if row.get("sensorType") == "accelerometer":
            row |= {"sensorType": "acceleration", "eventAccuracy": None}
    report = weather(draw, at)
    del report["type"]
    files = (
        File("motion.json", rows, "MotionRecord_v1", MOTION),
        File("microphone.json", audio(draw, at), "AudioLevelRecord_v1", AUDIO),
        File("weather.json", report, "WeatherResult_v1", WEATHER),
    )
    return Content("reading", 5, files, legacy_client_info=True)


def with_metadata(content: Content, at: datetime, os_name: str, quirky: bool, app_version: int = 73) -> Content:
    """The content with its metadata.json in front, which names the schema of every self-described file."""
    when = at.isoformat(timespec="milliseconds")
    files = [
        {"filename": file.name, "timestamp": when, "contentType": "application/json"}
        | ({"jsonSchema": file.schema_id} if file.schema_id in (TASK_DATA, ANYTHING) else {})
        for file in content.files
    ]
    value: dict[str, Any] = {
        "appName": "carrel-demo",
        "appVersion": f"version 1.2 ({app_version})",
        "deviceInfo": f"{os_name} device",
        "deviceTypeIdentifier": "phone",
        "files": files,
    }
    if quirky:
        del value["appName"], value["files"]
    metadata = File("metadata.json", value, "ArchiveMetadata_v1", ARCHIVE_METADATA)
    return replace(content, files=(metadata, *content.files))

"""A whole synthetic study: archives in a folder, with their ground truth beside them."""

import base64
import json
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from carrel.ingest.values import Disposition
from carrel.synthetic import zips
from carrel.synthetic.faults import FAULT, SpoiltRecord
from carrel.synthetic.knobs import Knobs
from carrel.synthetic.shapes import (
    ARCHIVE_METADATA,
    SCHEMAS,
    Content,
    Draw,
    File,
    draw_content,
    with_metadata,
)
from carrel.synthetic.truth import RESERVED, Tables, timestamp

_FIRST_DAY = datetime(2024, 1, 1, 9, 0, tzinfo=UTC)
_NEVER_COLUMNS = frozenset(RESERVED)


def _all(kind: str, *keys: str) -> dict[tuple[str, ...], str]:
    return {(key,): kind for key in keys}


DECLARED: Mapping[str, Mapping[tuple[str, ...], str]] = {
    "MotionRecord_v1": _all("float64", "uptime", "timestamp", "heading", "x", "y", "z", "w")
    | _all("string", "stepPath", "timestampDate", "sensorType", "referenceCoordinate")
    | _all("int64", "eventAccuracy"),
    "AudioLevelRecord_v1": _all("float64", "uptime", "timestamp", "timeInterval", "average", "peak")
    | _all("string", "stepPath", "timestampDate", "unit"),
    "WeatherResult_v1": {
        ("weather", "temperature"): "float64",
        ("weather", "humidity"): "float64",
        ("weather", "wind", "speed"): "float64",
        ("weather", "wind", "degrees"): "float64",
        ("airQuality", "aqi"): "float64",
        ("airQuality", "category", "number"): "float64",
    },
    "TappingResultObject_v1": {("tapCount",): "int64"},
    "TappingResultObject_v1__samples": _all("float64", "timestamp", "uptime", "duration"),
    "TappingResultObject_v1__samples__location": {("value",): "float64"},
    "sharedSchema_v1": {
        ("taskName",): "string",
        ("locale",): "string",
        ("scores", "finalTheta"): "float64",
        ("scores", "itemCount"): "int64",
    },
}
"""Types that the JSON Schemas declare, written out by hand from the schemas."""


@dataclass(frozen=True, slots=True)
class SyntheticArchive:
    """One archive as delivered: its file name (without .zip), bytes, metadata, and what must become of it."""

    name: str
    data: bytes
    metadata: Mapping[str, str]
    disposition: Disposition
    quarantine: tuple[tuple[str | None, str, str], ...]
    """(source file or None, stage, keyword)"""
    files: tuple[File, ...] = field(default=(), repr=False)
    """Files that end in the tables."""


def generate(knobs: Knobs) -> Iterator[SyntheticArchive]:
    """The archives of a study, in the order in which they are delivered."""
    rng = random.Random(knobs.seed)  # noqa: S311 (made-up data)
    faults = _spread(rng, knobs)
    for number in range(knobs.records):
        delivered = _record(rng, knobs, number, faults.get(number))
        yield delivered
        if rng.random() < knobs.reexports and number not in faults:
            yield _export_again(rng, delivered)
        elif rng.random() < knobs.duplicates:
            yield replace(delivered, name=f"{delivered.name}-again", disposition=Disposition.UNCHANGED, quarantine=())


def write(knobs: Knobs, folder: Path) -> dict[str, Any]:
    """Write `archives/*.zip` with sidecars `*.json`, `schemas/`, `withdrawals.json` and `truth.json`; the truth."""
    target = folder / "archives"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(SCHEMAS, folder / "schemas", dirs_exist_ok=True)
    archives = list(generate(knobs))
    for archive in archives:
        (target / f"{archive.name}.zip").write_bytes(archive.data)
        (target / f"{archive.name}.json").write_text(json.dumps(dict(archive.metadata), indent=2))
    truth = truth_of(archives)
    (folder / "truth.json").write_text(json.dumps(truth, default=str, ensure_ascii=False))
    codes = sorted({archive.metadata["healthcode"] for archive in archives if "healthcode" in archive.metadata})
    (folder / "withdrawals.json").write_text(json.dumps(codes[: knobs.withdrawals]))
    return truth


def truth_of(archives: Sequence[SyntheticArchive]) -> dict[str, Any]:
    """{"tables": {name: {"columns", "rows"}}, "archives": {name: {"recordid", "disposition", "quarantine"}}}.

    Rows lack the columns that depend on where and when ingest ran: `_archive_uri`, `_archive_etag`, `_run_id`.
    """
    tables = Tables(DECLARED)
    for archive in archives:
        if archive.disposition not in (Disposition.INGESTED, Disposition.PARTIAL):
            continue
        tables.drop(archive.metadata["recordid"])
        for file in archive.files:
            if file.dataset:
                tables.add(file.dataset, table_value(file, archive.metadata), _common(file, archive.metadata))
    fates = {
        archive.name: {
            "recordid": archive.metadata.get("recordid"),
            "disposition": archive.disposition.value,
            "quarantine": [list(line) for line in archive.quarantine],
        }
        for archive in archives
    }
    return {"tables": tables.finish(), "archives": fates}


def table_value(file: File, metadata: Mapping[str, str]) -> Any:
    """The archive's metadata.json also carries the record's metadata, where it has no such key itself."""
    if file.schema_id != ARCHIVE_METADATA:
        return file.value
    return {**{key: text for key, text in metadata.items() if key not in _NEVER_COLUMNS}, **file.value}


def _common(file: File, metadata: Mapping[str, str]) -> dict[str, Any]:
    uploaded = _time(metadata["uploadedon"])
    return {
        "recordid": metadata["recordid"],
        "assessmentid": metadata["assessmentid"],
        "assessmentrevision": int(metadata["assessmentrevision"]),
        "healthcode": metadata["healthcode"],
        "uploadedon": timestamp(uploaded),
        "exportedon": timestamp(_time(metadata["exportedon"])),
        "year": uploaded.year,
        "month": uploaded.month,
        "day": uploaded.day,
        "_source_file": file.name,
        "_schema_id": file.schema_id,
    }


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _spread(rng: random.Random, knobs: Knobs) -> dict[int, SpoiltRecord]:
    """Which record gets which fault; a ValueError when there are more faults than records."""
    names = [name for name, count in knobs.faults.items() for _ in range(count)]
    if unknown := set(names) - set(FAULT):
        raise ValueError(f"unknown faults: {', '.join(sorted(unknown))}; there are: {', '.join(sorted(FAULT))}")
    if len(names) > knobs.records:
        raise ValueError(f"{len(names)} faults asked for, but only {knobs.records} records")
    return {
        number: FAULT[name] for number, name in zip(rng.sample(range(knobs.records), len(names)), names, strict=True)
    }


def _record(rng: random.Random, knobs: Knobs, number: int, fault: SpoiltRecord | None) -> SyntheticArchive:
    shape = "walking" if fault else rng.choices(list(knobs.shapes), list(knobs.shapes.values()))[0]
    android = shape == "android_legacy" or rng.random() < knobs.android
    recorded = _FIRST_DAY + timedelta(days=number % 28, minutes=number)
    content = draw_content(Draw(rng, knobs), shape, recorded)
    if fault and fault.content:
        content = fault.content(content)
    os_name = "Android" if android else "iPhone OS"
    version = knobs.app_versions[number % len(knobs.app_versions)]
    content = with_metadata(content, recorded, os_name, content.legacy_client_info, version)
    uploaded = recorded + timedelta(days=rng.randint(0, knobs.late_days), seconds=rng.randint(1, 3600))
    metadata = _metadata(rng, knobs, content, number, os_name, uploaded)
    name = f"{number:06d}-{metadata['recordid']}"
    return _pack(name, content, metadata, fault)


def _metadata(
    rng: random.Random, knobs: Knobs, content: Content, number: int, os_name: str, uploaded: datetime
) -> dict[str, str]:
    version = knobs.app_versions[number % len(knobs.app_versions)]
    client = {"appName": "carrel-demo", "appVersion": version, "osName": os_name, "osVersion": "15.1"}
    legacy = f"ClientInfo [appName=carrel-demo, appVersion={version}, osName={os_name}, osVersion=15.1]"
    participant = rng.randrange(knobs.participants)
    record_id = base64.urlsafe_b64encode(rng.randbytes(18)).decode()
    if rng.random() < knobs.odd_ids:  # some begin the way that other tools stumble over
        record_id = rng.choice("_-0") + record_id[1:]
    return {
        "recordid": record_id,
        "appid": "mobile-toolbox",
        "assessmentid": content.assessment,
        "assessmentrevision": str(content.revision),
        "healthcode": f"participant-{participant:04d}",
        "clientinfo": legacy if content.legacy_client_info or number % 3 == 0 else json.dumps(client),
        "participantversion": "1",
        "studyid": f"study-{number % knobs.studies + 1}",
        "uploadedon": _zulu(uploaded),
        "exportedon": _zulu(uploaded + timedelta(hours=1)),
    }


def _zulu(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def _pack(name: str, content: Content, metadata: dict[str, str], fault: SpoiltRecord | None) -> SyntheticArchive:
    fault = fault or SpoiltRecord()
    entries = [
        (file.name, json.dumps(file.value, ensure_ascii=False, separators=(",", ":")).encode())
        for file in content.files
    ]
    data = zips.archive(fault.entries(entries) if fault.entries else entries)
    if fault.zipped:
        data = fault.zipped(data)
    if fault.metadata:
        fault.metadata(metadata)
    lines = ((None if fault.whole else fault.source_file, *fault.line),) if fault.line else ()
    quarantined = {fault.source_file} if fault.line else set()
    return SyntheticArchive(
        name=name,
        data=data,
        metadata=metadata,
        disposition=fault.disposition,
        quarantine=lines,
        files=() if fault.whole else tuple(file for file in content.files if file.name not in quarantined),
    )


def _export_again(rng: random.Random, first: SyntheticArchive) -> SyntheticArchive:
    """A corrected export: one day later, its last file made anew."""
    later = _time(first.metadata["exportedon"]) + timedelta(days=1)
    metadata = {**first.metadata, "exportedon": _zulu(later)}
    *others, last = first.files
    corrected: Any
    if isinstance(last.value, list):  # fewer rows of a table, or another value of a document
        corrected = last.value[: rng.randint(1, len(last.value))]
    else:
        corrected = {**last.value, "identifier": "corrected"}
    files = (*others, replace(last, value=corrected))
    content = Content(metadata["assessmentid"], int(metadata["assessmentrevision"]), files)
    return _pack(f"{first.name}-corrected", content, metadata, None)

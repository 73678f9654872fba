"""The floor: what these archives cost when a person writes the code for just these files, once, and trusts them.

Unzip, orjson, one comprehension for each known column, Parquet with zstd. No schema is looked up or validated, no key
is looked for that is not known beforehand, no row gets a key or its lineage, nothing is committed, and nothing may
ever change. Run: `python -m benchmarks.ingest.floor ARCHIVES OUT`.
"""

import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

Rows = dict[str, list[Any]]
FLUSH = 100_000
"""Rows of a table that are written together."""

MOTION = ("sensorType", "uptime", "timestamp", "timestampDate", "stepPath", "x", "y", "z")
AUDIO = ("timestamp", "timestampDate", "uptime", "timeInterval", "peak", "average")
STEP = ("identifier", "position", "theta", "score", "responseTime")
INTERACTION = ("userInteractionIdentifier", "timestamp", "value")
METADATA = ("appName", "appVersion", "deviceInfo", "deviceTypeIdentifier")
FILE = ("filename", "timestamp", "contentType", "jsonSchema")
WEATHER = ("type", "identifier", "startDate", "endDate")
REPORT = ("identifier", "provider", "startDate", "temperature", "humidity")
AIR = ("identifier", "provider", "startDate", "aqi")


class Tables:
    """Columns of every table, written whenever there are enough rows."""

    def __init__(self, out: Path):
        self.out = out
        self.rows: dict[str, Rows] = {}
        self.writers: dict[str, pq.ParquetWriter] = {}

    def add(self, table: str, record: str, columns: Rows) -> None:
        mine = self.rows.setdefault(table, {})
        count = len(next(iter(columns.values())))
        for name, values in {"recordid": [record] * count, **columns}.items():
            mine.setdefault(name, []).extend(values)
        if len(mine["recordid"]) > FLUSH:
            self.flush(table)

    def flush(self, table: str) -> None:
        types = {} if table == "files" else TYPES
        arrays = {name: pa.array(values, types.get(name)) for name, values in self.rows.pop(table).items()}
        made = pa.table(arrays)
        if table not in self.writers:
            self.writers[table] = pq.ParquetWriter(self.out / f"{table}.parquet", made.schema, compression="zstd")
        self.writers[table].write_table(made)

    def close(self) -> None:
        for table in list(self.rows):
            self.flush(table)
        for writer in self.writers.values():
            writer.close()


_FLOATS = "uptime timestamp x y z timeInterval peak average theta responseTime temperature humidity aqi speed degrees"
TYPES = dict.fromkeys(_FLOATS.split(), pa.float64()) | {"timestampDate": pa.string(), "value": pa.string()}


def _columns(rows: list[dict[str, Any]], names: tuple[str, ...]) -> Rows:
    return {name: [row.get(name) for row in rows] for name in names}


def motion(tables: Tables, record: str, rows: Any) -> None:
    tables.add("motion", record, _columns(rows, MOTION))


def audio(tables: Tables, record: str, rows: Any) -> None:
    tables.add("audio", record, _columns(rows, AUDIO))


def weather(tables: Tables, record: str, value: Any) -> None:
    columns = _columns([value], WEATHER)
    columns |= {f"weather_{name}": [value["weather"].get(name)] for name in REPORT}
    columns |= {f"wind_{name}": [value["weather"]["wind"][name]] for name in ("speed", "degrees")}
    columns |= {f"air_{name}": [value["airQuality"].get(name)] for name in AIR}
    columns |= {f"category_{name}": [value["airQuality"]["category"][name]] for name in ("number", "name")}
    tables.add("weather", record, {name: _float(name, values) for name, values in columns.items()})


def _float(name: str, values: list[Any]) -> list[Any]:
    is_measure = name.rpartition("_")[2] in ("temperature", "humidity", "speed", "degrees", "aqi")
    return [float(value) for value in values] if is_measure else values


def metadata(tables: Tables, record: str, value: Any) -> None:
    tables.add("metadata", record, _columns([value], METADATA))
    tables.add("files", record, _columns(value["files"], FILE))


def task(tables: Tables, record: str, value: Any) -> None:
    scores = value["scores"]
    tables.add(
        "task",
        record,
        _columns([value], ("taskName", "locale"))
        | {"finalTheta": [float(scores["finalTheta"])], "finalSE": [float(scores["finalSE"])]}
        | {"itemCount": [scores["itemCount"]]},
    )
    steps = value["steps"]
    tables.add("steps", record, _columns(steps, STEP))
    considered = value.get("consideredSteps") or []
    tables.add(
        "considered",
        record,
        {"identifier": [each["identifier"] for each in considered], "theta": [each["exposure"] for each in considered]},
    )
    for name in ("stepHistory", "taskStatus"):
        tables.add(name, record, {"value": value.get(name) or []})
    _interactions(tables, record, steps)


def _interactions(tables: Tables, record: str, steps: list[dict[str, Any]]) -> None:
    pairs = [(number, each) for number, step in enumerate(steps) for each in step.get("interactions") or ()]
    mine = [each for _, each in pairs]
    tables.add("interactions", record, {"step": [number for number, _ in pairs]} | _columns(mine, INTERACTION))
    events = [(number, event) for number, each in enumerate(mine) for event in each["controlEvent"]]
    tables.add(
        "events",
        record,
        {"interaction": [number for number, _ in events], "value": [event for _, event in events]},
    )


FILES: dict[str, Callable[[Tables, str, Any], None]] = {
    "motion.json": motion,
    "microphone_levels.json": audio,
    "weather.json": weather,
    "metadata.json": metadata,
    "taskData.json": task,
}


def main(archives: Path, out: Path) -> None:
    out.mkdir(parents=True)
    tables = Tables(out)
    for path in sorted(archives.glob("*.zip")):
        record = orjson.loads(path.with_suffix(".json").read_bytes())["recordid"]
        with zipfile.ZipFile(path) as zipped:
            for name in zipped.namelist():
                if name in FILES:
                    FILES[name](tables, record, orjson.loads(zipped.read(name)))
    tables.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

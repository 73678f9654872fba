"""The same archives by dlt (run by the extras' Python, which has no Carrel): `with_dlt.py ARCHIVES OUT`.

One resource per kind of file, nested arrays normalised by dlt itself, Parquet files into a folder. No validation.
"""

import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("RUNTIME__LOG_LEVEL", "ERROR")

import dlt
import orjson

KINDS = {
    "motion.json": "motion",
    "microphone_levels.json": "audio",
    "weather.json": "weather",
    "metadata.json": "metadata",
    "taskData.json": "task",
}


def _elements(value: Any) -> list[dict[str, Any]]:
    return value if isinstance(value, list) else [value]


def rows(archives: Path, kind: str) -> Iterator[list[dict[str, Any]]]:
    """The elements of one kind of file, an archive at a time."""
    for path in sorted(archives.glob("*.zip")):
        record = orjson.loads(path.with_suffix(".json").read_bytes())["recordid"]
        with zipfile.ZipFile(path) as zipped:
            yield [
                {**element, "recordid": record}
                for name in zipped.namelist()
                if KINDS.get(name) == kind
                for element in _elements(orjson.loads(zipped.read(name)))
            ]


def main(archives: Path, out: Path) -> None:
    out.mkdir(parents=True)
    pipeline = dlt.pipeline(
        "carrel_bench",
        pipelines_dir=str(out / "state"),
        destination=dlt.destinations.filesystem(bucket_url=(out / "tables").as_uri()),
        dataset_name="bench",
    )
    resources = [dlt.resource(rows(archives, kind), name=kind) for kind in KINDS.values()]
    pipeline.run(resources, loader_file_format="parquet").raise_on_failed_jobs()
    print(sum(path.stat().st_size for path in (out / "tables").rglob("*.parquet")))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

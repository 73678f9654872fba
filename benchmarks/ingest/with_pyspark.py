"""The same archives by a PySpark job (run by the extras' Python, which has no Carrel): `with_pyspark.py ARCHIVES OUT`.

As BridgeDownstream goes about it: one step unzips the archives into JSON lines by kind, Spark reads them (inferring the
schema), explodes nested arrays into tables of their own, and writes Parquet with zstd. No validation. All cores.
"""

import os
import sys
import zipfile
from pathlib import Path
from typing import Any

import orjson
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StructType

KINDS = {
    "motion.json": "motion",
    "microphone_levels.json": "audio",
    "weather.json": "weather",
    "metadata.json": "metadata",
    "taskData.json": "task",
}


def unzip(archives: Path, lines: Path) -> None:
    """One JSON line per element; a file per archive and kind."""
    for kind in KINDS.values():
        (lines / kind).mkdir(parents=True)
    for path in sorted(archives.glob("*.zip")):
        record = orjson.loads(path.with_suffix(".json").read_bytes())["recordid"]
        with zipfile.ZipFile(path) as zipped:
            for name in zipped.namelist():
                if name in KINDS:
                    value = orjson.loads(zipped.read(name))
                    _write(lines / KINDS[name] / f"{path.stem}.ndjson", value, record)


def _write(path: Path, value: Any, record: str) -> None:
    elements = value if isinstance(value, list) else [value]
    path.write_bytes(b"".join(orjson.dumps({**element, "recordid": record}) + b"\n" for element in elements))


def flatten(frame: DataFrame, name: str, out: Path) -> None:
    """Structs become columns; each array becomes a table, with the row's key and the element's index."""
    frame = frame.withColumn("_key", F.monotonically_increasing_id()) if "_key" not in frame.columns else frame
    while structs := [each.name for each in frame.schema if isinstance(each.dataType, StructType)]:
        frame = frame.select(*(column for each in frame.columns for column in _spread(frame, each, structs)))
    for each in [each.name for each in frame.schema if isinstance(each.dataType, ArrayType)]:
        inner = frame.select(F.col("_key").alias("_parent"), F.posexplode(F.col(f"`{each}`")).alias("_index", "value"))
        flatten(inner, f"{name}__{each}", out)
        frame = frame.drop(each)
    frame.write.option("compression", "zstd").parquet(str(out / name))


def _spread(frame: DataFrame, name: str, structs: list[str]) -> list[Any]:
    if name not in structs:
        return [F.col(f"`{name}`")]
    inner = frame.schema[name].dataType
    return [F.col(f"`{name}`.`{field}`").alias(f"{name}_{field}") for field in inner.fieldNames()]


def main(archives: Path, out: Path) -> None:
    out.mkdir(parents=True)
    unzip(archives, out / "lines")
    spark = (
        SparkSession.builder.master(f"local[{len(os.sched_getaffinity(0))}]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "3g")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "4")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    for kind in KINDS.values():
        flatten(spark.read.json(str(out / "lines" / kind)), kind, out / "tables")
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

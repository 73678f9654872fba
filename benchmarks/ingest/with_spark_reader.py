"""Run by the extras' Python: `with_spark_reader.py LISTED.json FIGURES.json`, tables' files to counts and sums."""

import json
import sys
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import NumericType, StructField


def figure(field: StructField) -> Column:
    name = f"`{field.name}`"
    return F.sum(F.col(name).cast("double")) if isinstance(field.dataType, NumericType) else F.count(F.col(name))


def figures(frame: DataFrame) -> dict[str, Any]:
    fields = frame.schema.fields
    found = frame.agg(F.count(F.lit(1)), *(figure(field) for field in fields)).first()
    assert found is not None
    return {"rows": found[0], "columns": {field.name: value for field, value in zip(fields, found[1:], strict=True)}}


def main(listed: Path, answer: Path) -> None:
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    tables = json.loads(listed.read_text())
    read = spark.read.option("mergeSchema", "true")
    answer.write_text(json.dumps({name: figures(read.parquet(*files)) for name, files in tables.items()}))
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

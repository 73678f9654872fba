"""The Lambda's entry: `carrel.ingest.aws.handler.handle`. Everything but the environment is in `batch`."""

import json
import logging
import os
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from carrel.ingest.aws.artifacts import ROOT, fetch
from carrel.ingest.aws.batch import BatchHandler
from carrel.ingest.aws.queue import Queue
from carrel.ingest.aws.work import Delivery, StudyPipeline
from carrel.ingest.aws_access import Aws


class SettingsFault(Exception):
    """The function's environment is incomplete; the sentence names the variable."""


def handle(event: Mapping[str, Any], context: Any) -> dict[str, list[dict[str, str]]]:
    """An SQS event in, `batchItemFailures` out. Raises when nothing could be tried: then all messages come again."""
    logging.getLogger().setLevel(os.environ.get("LOGLEVEL", "INFO"))
    deliveries = [Delivery.from_record(record) for record in event["Records"]]
    failed = batch_handler().handle(deliveries, lambda: context.get_remaining_time_in_millis() / 1000)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


@cache
def batch_handler() -> BatchHandler:
    """What handles batches: made once for each instance of the function, from its environment. Raises SettingsFault."""
    from carrel.ingest.aws.ingester import make_ingester

    studies = os.environ.get("INGEST_STUDIES")
    if not studies:
        raise SettingsFault("INGEST_STUDIES is not set")
    aws = Aws()
    return BatchHandler(
        studies=parse_studies(studies),
        queue=Queue(
            aws,
            os.environ.get("INGEST_QUEUE_URL"),
            os.environ.get("INGEST_INVALID_QUEUE_URL"),
            int(os.environ.get("INGEST_INVALID_AFTER", "3")),
        ),
        aws=aws,
        ingest=make_ingester(fetch_mapping(aws, os.environ.get("INGEST_MAPPING"))),
        most=int(os.environ.get("INGEST_MOST", "50")),
    )


def parse_studies(text: str) -> dict[str, StudyPipeline]:
    """`[{"name": ..., "warehouse": ..., "app": ...}, ...]` as studies by name. Raises SettingsFault."""
    try:
        studies = [StudyPipeline(**row) for row in json.loads(text)]
    except (ValueError, TypeError):
        raise SettingsFault("INGEST_STUDIES is not a JSON list of {name, warehouse, app}") from None
    if not studies:
        raise SettingsFault("INGEST_STUDIES names no study")
    return {study.name: study for study in studies}


def fetch_mapping(aws: Aws, location: str | None) -> Path | None:
    """The folder of the mapping and its schemas; `location` is a folder, or `s3://bucket/Carrel/REF/NAME` (fetched)."""
    if location is None or not location.startswith("s3://"):
        return Path(location) if location else None
    parts = urlsplit(location)
    root, ref, name = (*parts.path.strip("/").split("/", 2), "", "")[:3]
    if root != ROOT or not ref or not name:
        raise SettingsFault(f"INGEST_MAPPING is not s3://BUCKET/{ROOT}/REF/NAME")
    folder = Path(tempfile.mkdtemp(prefix="carrel-mapping-"))
    fetch(aws.client("s3"), parts.netloc, ref, name, folder)
    return folder

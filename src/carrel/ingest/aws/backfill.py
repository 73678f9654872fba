"""The Fargate task: `python3 -m carrel.ingest.aws.backfill s3://bucket/prefix`; everything below it, once each.

INGEST_WAREHOUSE, INGEST_APP and INGEST_MAPPING say what the Lambda's settings say. Stopped anywhere, starting again
goes on.
Exit codes: 0 all is in the ledger, 1 some archives could not be fetched (run it again), 75 the warehouse was held.
"""

import logging
import os
import sys

from carrel.ingest.aws.counts import log_report
from carrel.ingest.aws.handler import SettingsFault, fetch_mapping
from carrel.ingest.aws.ingester import load_schemas
from carrel.ingest.aws_access import Aws

BUSY = 75
logger = logging.getLogger(__name__)


def main(urls: list[str]) -> int:
    """Take what is below each URL; the exit code."""
    from carrel.ingest.store import WarehouseBusy

    logging.basicConfig(level=os.environ.get("LOGLEVEL", "INFO"), format="%(levelname)s %(name)s %(message)s")
    try:
        return max(_take(url) for url in urls)
    except WarehouseBusy as busy:
        logger.error("%s", busy)
        return BUSY


def _take(url: str) -> int:
    from carrel.ingest.operations.ingestion import run
    from carrel.ingest.run import IngestOptions, Setting, processes
    from carrel.ingest.sources.locations import source_of

    warehouse = os.environ.get("INGEST_WAREHOUSE")
    if not warehouse:
        raise SettingsFault("INGEST_WAREHOUSE is not set")
    schemas = load_schemas(fetch_mapping(Aws(), os.environ.get("INGEST_MAPPING")))
    options = IngestOptions(app_id=os.environ.get("INGEST_APP"))
    report = run(
        Setting(warehouse=warehouse, source=source_of(url), schemas=schemas, pool=processes(), options=options)
    )
    logger.info("%s", report.text())
    log_report(report)
    return 1 if report.failures else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("which place? python3 -m carrel.ingest.aws.backfill s3://bucket/prefix ...")
    sys.exit(main(sys.argv[1:]))

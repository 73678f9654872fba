"""What is due now and then at a review site: cheap where nothing is due."""

import logging

from carrel.review.service import anchors, crates

logger = logging.getLogger(__name__)

EVERY_SECONDS = 60.0


def keep_house() -> None:
    """Do what is due. What fails is told in the log and stops nothing else."""
    for work in (anchors.write_when_due, crates.make_missing):
        try:
            work()
        except Exception:
            logger.exception("A piece of housekeeping failed; it is tried again.")

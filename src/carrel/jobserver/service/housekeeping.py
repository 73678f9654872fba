"""What is due now and then: reminders, the summary of usage, who read which data. Cheap where nothing is due."""

import logging

from django.utils import timezone

from carrel.jobserver.service import data_use, reminders, usage

logger = logging.getLogger(__name__)


def tidy_up() -> None:
    """Do what is due. What fails is told in the log and stops nothing else."""
    now = timezone.now()
    for work in (reminders.write_reminders, usage.refresh_when_due, data_use.read_some):
        try:
            work(now)
        except Exception:
            logger.exception("A piece of housekeeping failed; it is tried again.")

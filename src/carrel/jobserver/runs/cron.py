"""When scheduled runs are due: five fields of cron, in UTC. Pure."""

import itertools
from datetime import datetime, timedelta

from cronsim import CronSim, CronSimError

MAX_CRON = 100
LEAST_PAUSE = timedelta(minutes=15)
"""From one time to the next: a run of every minute would fill the backends with itself."""
TIMES_LOOKED_AT = 200


class CronRefused(ValueError):
    """This is no time at which runs are scheduled; says why."""


def times_after(cron: str, moment: datetime, count: int) -> list[datetime]:
    """Return the next `count` times after a moment. Raises CronRefused for what is no five fields of cron."""
    if len(cron) > MAX_CRON or len(cron.split()) != 5:
        raise CronRefused("Write five fields: minute, hour, day of the month, month, day of the week (0 6 * * 1).")
    try:
        simulated = CronSim(cron, moment)
        return [time for time, _ in zip(simulated, range(count), strict=False)]
    except (CronSimError, ValueError) as error:
        raise CronRefused(f"This is no time: {error}. An example is 0 6 * * 1.") from error


def check_cron(cron: str, moment: datetime) -> None:
    """Raise CronRefused unless there are such times, at least LEAST_PAUSE apart."""
    times = times_after(cron, moment, TIMES_LOOKED_AT)
    if not times:
        raise CronRefused("There is no such time in the next years.")
    if any(later - earlier < LEAST_PAUSE for earlier, later in itertools.pairwise(times)):
        raise CronRefused("Runs are scheduled at least a quarter of an hour apart.")


def cron_words(cron: str, moment: datetime) -> str:
    """Return what five fields of cron mean, in words: `At 06:00 on Monday`."""
    return str(CronSim(cron, moment).explain())

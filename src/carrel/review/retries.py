"""When something that could not be sent is tried again. Pure."""

import zlib
from datetime import datetime, timedelta

FIRST_PAUSE = 1.0
"""Seconds after the first failure; each further one doubles it, up to a bound."""
ALERT_AFTER = 5
"""Failures of one file, or of one event, from which on pages say that somebody should look."""
_MOST_DOUBLINGS = 30


def pause_after(attempts: int, longest: float, key: str) -> float:
    """Return the seconds to wait after so many failed attempts.

    Things that failed together are not all tried again together: of each pause up to a half is taken away, by `key`.
    The same key and number give the same pause, whoever asks and when.
    """
    pause = min(FIRST_PAUSE * 2 ** min(attempts - 1, _MOST_DOUBLINGS), longest)
    return pause * (1 - zlib.crc32(f"{key} {attempts}".encode()) / 2**33)


def is_due(attempts: int, attempted_at: datetime | None, now: datetime, *, longest: float, key: str) -> bool:
    """Tell whether something may be tried now. `attempted_at`: when it was last; None: it was not, or is to be now."""
    if attempts == 0 or attempted_at is None:
        return True
    return now >= attempted_at + timedelta(seconds=pause_after(attempts, longest, key))

"""What happens after an infrastructure fault: three attempts with growing pauses, then it becomes visible."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`attempts` at most, all counted; `pauses_seconds` between them (the last one again, when there are not enough).

    `reboots`: how many attempts a job may have in all before a restarting host is held against it.
    """

    attempts: int = 3
    pauses_seconds: tuple[float, ...] = (5.0, 30.0, 180.0)
    reboots: int = 10

    def pause_after(self, failed: int) -> timedelta | None:
        """Pause before the next attempt when `failed` (>= 1) have failed; None: there is no next attempt."""
        if failed >= self.attempts:
            return None
        return timedelta(seconds=self.pauses_seconds[min(failed, len(self.pauses_seconds)) - 1])


DEFAULT_POLICY = RetryPolicy()


def in_words(pause: timedelta) -> str:
    """ "5 s", "30 s", "3 min"."""
    seconds = round(pause.total_seconds())
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min" if minutes and not rest else f"{seconds} s"

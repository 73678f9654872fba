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


def in_words(span: timedelta) -> str:
    """ "5 s", "3 min", "6 h", "1 h 30 min": the two largest units that are not nought."""
    seconds = round(span.total_seconds())
    hours, minutes = divmod(seconds // 60, 60)
    parts = [(hours, "h"), (minutes, "min"), (seconds % 60, "s")]
    return " ".join([f"{count} {unit}" for count, unit in parts if count][:2]) or "0 s"

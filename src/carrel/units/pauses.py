"""How long to wait before something is tried again. Pure: chance is the caller's."""

JITTER = 0.25
"""Part of a pause that chance may take off, so that what failed together does not come again together."""


def pause_before_retry(attempts: int, first: float, longest: float, chance: float = 0.0) -> float:
    """Return the seconds until a thing that failed `attempts` times is tried again.

    `first`, then twice as long each time, at most `longest`; `chance`, from 0 to 1, takes up to JITTER of it off.
    """
    pause: float = min(first * 2.0 ** min(max(attempts - 1, 0), 20), longest)
    return pause * (1 - JITTER * chance)

"""Waking the link of this process, so that what was just written is sent at once. Others look every second."""

import threading

_signals: set[threading.Event] = set()


def wake() -> None:
    """Have the link of this process look at its outboxes now; does nothing where there is none."""
    for signal in tuple(_signals):
        signal.set()


def listen(signal: threading.Event) -> None:
    """Set this event whenever the link is woken."""
    _signals.add(signal)


def forget(signal: threading.Event) -> None:
    """Set it no longer."""
    _signals.discard(signal)

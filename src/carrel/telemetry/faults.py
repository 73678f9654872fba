"""Fault points: named places where a crash test may kill the process.

Every step that must survive `kill -9` calls `point("room.step")` between its instructions. In production the call is a
dictionary look-up. With `CARREL_FAULT=room.step` in the environment the process ends itself with SIGKILL
the first time it gets there (`room.step:3`: the third time), exactly as a power cut would: no `finally`, no atexit.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable

_seen: Counter[str] = Counter()
_hook: Callable[[str], None] | None = None


def point(name: str) -> None:
    """Mark a place where the process may be killed; does nothing unless a test asks."""
    if _hook is not None:
        _hook(name)
    setting = os.environ.get("CARREL_FAULT")
    if not setting:
        return
    expected, _, count = setting.partition(":")
    if expected != name:
        return
    _seen[name] += 1
    if _seen[name] >= int(count or 1):
        os.kill(os.getpid(), signal.SIGKILL)


def on_point(hook: Callable[[str], None] | None) -> None:
    """Call `hook(name)` at each point passed (to list them, or to raise in-process); None removes it."""
    global _hook
    _hook = hook

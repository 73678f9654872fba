"""The sweep, and the links to polled job servers, as a process: `python -m carrel.controller.service_main`."""

import os
import signal
import sys
import threading
from types import FrameType

from carrel.units.privacy import close_to_others

SECONDS_TO_END = 2.0
"""A link that waits for its job server's answer is not waited for: it may be ended anywhere."""


def main() -> int:
    """Run until SIGTERM or SIGINT. 1, with a sentence, when settings or database cannot be used."""
    close_to_others()
    os.environ["DJANGO_SETTINGS_MODULE"] = "carrel.web.settings"
    import django

    django.setup()
    from carrel.controller import checks, sweep
    from carrel.controller.link import threads

    try:
        checks.set_up_telemetry("ctrl")
        checks.before_start()
    except (checks.CannotStart, ValueError, RuntimeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    links = threads.start(stop)
    sweep.Sweep().run(stop)
    for thread in links:
        thread.join(SECONDS_TO_END)
    return 0


if __name__ == "__main__":
    sys.exit(main())

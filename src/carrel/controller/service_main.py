"""The sweep as a process: `python -m carrel.controller.service_main`."""

import os
import signal
import sys
import threading
from types import FrameType

from carrel.units.privacy import close_to_others


def main() -> int:
    """Run until SIGTERM or SIGINT. 1, with a sentence, when settings or database cannot be used."""
    close_to_others()
    os.environ["DJANGO_SETTINGS_MODULE"] = "carrel.web.settings"
    import django

    django.setup()
    from carrel.controller import checks, sweep

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
    sweep.Sweep().run(stop)
    return 0


if __name__ == "__main__":
    sys.exit(main())

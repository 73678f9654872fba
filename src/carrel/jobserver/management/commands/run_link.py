"""`run_link`: the link as a process of its own."""

import signal
import threading
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from carrel.jobserver import checks, link_process
from carrel.units.settings import SettingsError


class Command(BaseCommand):
    help = "Send requests to controllers, ask them for news, and send mail and webhook calls, until it is stopped."

    def handle(self, **options: Any) -> None:
        try:
            checks.before_start()
        except SettingsError as error:
            raise CommandError(str(error)) from error
        stop = threading.Event()

        def end(_signal: int, _frame: FrameType | None) -> None:
            stop.set()
            link_process.wake()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        link_process.run(stop)

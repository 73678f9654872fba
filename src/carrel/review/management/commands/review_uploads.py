"""`review_uploads`: sending as a process of its own."""

import signal
import threading
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from carrel.review import checks
from carrel.review.sending import process
from carrel.units.settings import SettingsError


class Command(BaseCommand):
    help = "Upload approved files and tell the job server of requests, until it is stopped."

    def handle(self, **options: Any) -> None:
        try:
            checks.before_start()
        except SettingsError as error:
            raise CommandError(str(error)) from error
        stop = threading.Event()

        def end(_signal: int, _frame: FrameType | None) -> None:
            stop.set()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        process.run(stop)

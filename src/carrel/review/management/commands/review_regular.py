"""`review_regular FILE`: the requests that are made every day, as `regular_release_requests.json` says."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from carrel.review import checks
from carrel.review.regular import RegularRequestsUnreadable, make_regular_requests, read_regular_requests
from carrel.units.settings import SettingsError


class Command(BaseCommand):
    help = "Make release requests of what is new in certain folders, as a JSON file says."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("file", type=Path, help="such as regular_release_requests.json")

    def handle(self, *, file: Path, **options: Any) -> None:
        try:
            checks.before_start()
            regular = read_regular_requests(file)
        except (SettingsError, RegularRequestsUnreadable) as error:
            raise CommandError(str(error)) from error
        for line in make_regular_requests(regular):
            self.stdout.write(line)

"""`review_example`: a first request, approved and released, as the demo wants it."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from carrel.clients.job_server_connection import JobServerError
from carrel.review import checks
from carrel.review.example import first_release
from carrel.review.rules import ActRefused
from carrel.units.settings import SettingsError


class Command(BaseCommand):
    help = "Release what is new in a workspace as two checkers would; prints what was released and held back as JSON."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("workspace")
        parser.add_argument("--author", required=True, metavar="USERNAME")
        parser.add_argument("--checker", required=True, action="append", metavar="USERNAME")

    def handle(self, *, workspace: str, author: str, checker: list[str], **options: Any) -> None:
        try:
            checks.before_start()
            result = first_release(workspace, author, checker)
        except (SettingsError, ActRefused, JobServerError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(result))

"""`backend_token SLUG`: a new token with which a backend speaks to our API."""

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError

from carrel.jobserver.management.base import Parser, SiteCommand, actor, backend_of
from carrel.jobserver.service import tokens


class Command(SiteCommand):
    help = "Print a new token of a backend. It is shown this once; older ones go on unless --end-older says when."

    def add_arguments(self, parser: Parser) -> None:
        parser.add_argument("slug")
        parser.add_argument("--end-older", type=float, metavar="HOURS", help="older tokens end after so many hours")

    def handle(self, **options: Any) -> None:
        hours = options["end_older"]
        ends = None if hours is None else timedelta(hours=max(0.0, hours))
        try:
            self.say(tokens.create_backend_token(backend_of(options["slug"]), actor(), older_end_after=ends))
        except tokens.TokenNotIssued as error:
            raise CommandError(str(error)) from error

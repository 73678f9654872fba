"""`password_link USERNAME`: a link with which somebody chooses a password."""

from typing import Any

from django.core.management.base import CommandError

from carrel.jobserver.management.base import Parser, SiteCommand, actor, user_of
from carrel.jobserver.service import accounts


class Command(SiteCommand):
    help = "Print a link with which a person chooses a new password, within a day and once."

    def add_arguments(self, parser: Parser) -> None:
        parser.add_argument("username")

    def handle(self, **options: Any) -> None:
        try:
            self.say(accounts.password_link(user_of(options["username"]), actor()))
        except accounts.AccountError as error:
            raise CommandError(str(error)) from error

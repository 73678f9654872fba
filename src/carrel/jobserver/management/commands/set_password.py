"""`set_password USERNAME`: gives an account a password, from the terminal or a file."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from carrel.jobserver.management.base import Parser, SiteCommand, actor, add_password_file, password_of, user_of
from carrel.jobserver.service import accounts


class Command(SiteCommand):
    help = "Give an account a password: asked for at the terminal, or from a file."

    def add_arguments(self, parser: Parser) -> None:
        parser.add_argument("username")
        add_password_file(parser)

    def handle(self, **options: Any) -> None:
        user = user_of(options["username"])
        password = password_of(options["password_file"]) or self.ask_secret("New password: ")
        try:
            accounts.set_password(user, password, actor())
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        self.say(f"{user} has a new password; other sessions have ended.")

"""`revoke_token ID...`."""

from typing import Any

from django.core.management.base import CommandError

from carrel.controller.management.base import AdminCommand, actor
from carrel.controller.management.commands.list_tokens import line
from carrel.controller.service import tokens


class Command(AdminCommand):
    help = "End tokens at once. Their numbers are shown by list_tokens."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("ids", nargs="+", type=int, metavar="ID")

    def handle(self, **options: Any) -> None:
        for token_id in options["ids"]:
            try:
                self.say(line(tokens.revoke_token(token_id, actor())))
            except tokens.TokenError as error:
                raise CommandError(str(error)) from error

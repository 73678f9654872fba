"""`create_token agent|client --backend B [--backend B2] [--name NAME]`."""

from typing import Any

from django.core.management.base import CommandError

from carrel.controller.management.base import AdminCommand, actor, backend_slug
from carrel.controller.service import tokens


class Command(AdminCommand):
    help = (
        "Make a token for a backend's agent, or for a client of the RAP API. It is shown once; only its hash is kept."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("kind", choices=["agent", "client"])
        parser.add_argument("--backend", required=True, action="append", type=backend_slug, dest="backends")
        parser.add_argument("--name", default="", help="whose it is; two of one name may be valid at once")

    def handle(self, **options: Any) -> None:
        try:
            token = tokens.create_token(options["kind"], options["backends"], options["name"], actor())
        except tokens.TokenError as error:
            raise CommandError(str(error)) from error
        self.say(token)

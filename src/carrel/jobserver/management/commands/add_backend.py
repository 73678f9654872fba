"""`add_backend SLUG`: a backend, and who may choose it."""

from typing import Any

from django.core.management.base import CommandError

from carrel.jobserver.management.base import Parser, SiteCommand, actor, user_of
from carrel.jobserver.service import setup


class Command(SiteCommand):
    help = "Make a backend, or add members to one. It is hidden from others until --listed or staff say so."

    def add_arguments(self, parser: Parser) -> None:
        parser.add_argument("slug")
        parser.add_argument("--name", default="")
        parser.add_argument("--controller", default="default", help="which of CONTROLLERS serves it")
        parser.add_argument("--dummy-data", action="store_true", help="its data is made up")
        parser.add_argument("--listed", action="store_true", help="everybody may see it")
        parser.add_argument("--member", action="append", default=[], metavar="USERNAME")

    def handle(self, **options: Any) -> None:
        members = [user_of(username) for username in options["member"]]
        try:
            backend = setup.ensure_backend(
                options["slug"],
                actor=actor(),
                name=options["name"],
                controller=options["controller"],
                is_dummy=options["dummy_data"],
                is_listed=options["listed"],
                members=members,
            )
        except setup.SetupError as error:
            raise CommandError(str(error)) from error
        self.say(f"There is a backend {backend.slug}. `carrel manage backend_token {backend.slug}` makes its token.")

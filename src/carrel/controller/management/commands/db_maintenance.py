"""`db_maintenance on|off BACKEND [--disable-checks]`."""

from typing import Any

from carrel.controller.management.base import AdminCommand, actor, backend_slug
from carrel.controller.service import administration


class Command(AdminCommand):
    help = "Say that a backend's database is being maintained: database jobs stop and wait."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("action", choices=["on", "off"])
        parser.add_argument("backend", type=backend_slug)
        parser.add_argument("--disable-checks", action="store_true", help="do not ask the database how it is, either")

    def handle(self, **options: Any) -> None:
        backend, disable = options["backend"], options["disable_checks"]
        on = options["action"] == "on"
        administration.note("db_maintenance", actor(), backend, action=options["action"], disable_checks=disable)
        self.say_flags(administration.database_maintenance(backend, on, actor(), disable_checks=disable))

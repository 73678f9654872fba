"""`pause on|off BACKEND`."""

from typing import Any

from carrel.controller.management.base import AdminCommand, actor, backend_slug
from carrel.controller.service import administration


class Command(AdminCommand):
    help = "Start no new jobs on a backend, or go on starting them. Running jobs continue."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("action", choices=["on", "off"])
        parser.add_argument("backend", type=backend_slug)

    def handle(self, **options: Any) -> None:
        on = options["action"] == "on"
        administration.note("pause", actor(), options["backend"], action=options["action"])
        self.say_flags(administration.pause(options["backend"], on, actor()))

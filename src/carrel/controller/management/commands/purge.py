"""`purge --older-than 365d [--dry-run]`."""

import re
from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any

from carrel.controller import clock
from carrel.controller.management.base import AdminCommand, actor
from carrel.controller.service import administration


def age(text: str) -> timedelta:
    """An argparse type: `90d` or `90`, in days, at least one."""
    match = re.fullmatch(r"([1-9]\d*)\s*d?", text)
    if not match:
        raise ArgumentTypeError(f"'{text}' is not a number of days (write 90d)")
    return timedelta(days=int(match[1]))


class Command(AdminCommand):
    help = "Delete requests that ended long ago, with their jobs and tasks. Events stay. Nothing does this by itself."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--older-than", required=True, type=age, metavar="DAYS", help="for example 365d")
        parser.add_argument("--dry-run", action="store_true", help="only say how many rows would go")

    def handle(self, **options: Any) -> None:
        dry_run = options["dry_run"]
        removed = administration.purge(clock.now() - options["older_than"], actor(), dry_run=dry_run)
        self.say(
            f"{'Would delete' if dry_run else 'Deleted'} " + ", ".join(f"{n} {name}" for name, n in removed.items())
        )

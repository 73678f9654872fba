"""`flags get [NAME...] --backend B [--create]` and `flags set NAME=VALUE... --backend B`."""

from argparse import ArgumentTypeError
from typing import Any

from carrel.controller.management.base import AdminCommand, actor, backend_slug
from carrel.controller.service import administration, flags


def assignment(text: str) -> tuple[str, str | None]:
    """An argparse type: `NAME=VALUE`; `NAME=` clears."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ArgumentTypeError(f"'{text}' is not NAME=VALUE (NAME= clears a flag)")
    return name, value or None


class Command(AdminCommand):
    help = "Show or set the flags of a backend."

    def add_arguments(self, parser: Any) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        get = verbs.add_parser("get", help="show flags")
        get.add_argument("names", nargs="*", metavar="NAME")
        get.add_argument("--create", action="store_true", help="make the flags named that do not exist, with no value")
        set_ = verbs.add_parser("set", help="set flags")
        set_.add_argument("assignments", nargs="+", type=assignment, metavar="NAME=VALUE")
        for verb in (get, set_):
            verb.add_argument("--backend", required=True, type=backend_slug)

    def handle(self, **options: Any) -> None:
        backend = options["backend"]
        if options["verb"] == "set":
            self.say_flags(administration.set_flags(backend, dict(options["assignments"]), actor()))
            return
        if options["create"] and options["names"]:
            administration.create_flags(backend, options["names"], actor())
        self.say_flags(flags.get_flags(backend, options["names"] or None))

"""What the admin commands share."""

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from carrel.controller import settings
from carrel.controller.models import Flag
from carrel.units.people import login_name
from carrel.units.settings import SettingsError


def actor() -> str:
    """Who runs the command, for its event: `admin:<login name>` (behind sudo, the person's own)."""
    return f"admin:{login_name()}"


def backend_slug(text: str) -> str:
    """An argparse type: one of BACKENDS."""
    backends = settings.get().backends
    if text not in backends:
        raise ArgumentTypeError(f"'{text}' is not one of the backends: {', '.join(backends)}")
    return text


def flag_line(flag: Flag) -> str:
    """`[test] paused=true (2026-11-22T05:06:20.152542Z)`, or `(never set)`."""
    when = flag.timestamp.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if flag.timestamp else "never set"
    return f"[{flag.backend}] {flag.name}={flag.value} ({when})"


class AdminCommand(BaseCommand):
    """A command whose settings are checked first, so that a wrong one is a sentence and not a traceback."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        try:
            settings.get()
        except SettingsError as error:
            raise CommandError(str(error)) from error
        return super().create_parser(prog_name, subcommand, **kwargs)

    def say(self, *lines: str) -> None:
        for line in lines:
            self.stdout.write(line)

    def say_flags(self, flags: list[Flag]) -> None:
        self.say(*[flag_line(flag) for flag in flags])

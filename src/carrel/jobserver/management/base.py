"""What the job server's admin commands share."""

import getpass
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from carrel.jobserver.models import Backend, User
from carrel.jobserver.service.audit import COMMAND_LINE
from carrel.units.people import login_name

MAX_PASSWORD_BYTES = 4096
NOBODY = "Nobody answers here. Give the values as flags, with --yes."


def actor() -> str:
    """Return who runs the command, for the audit log: the login name; behind sudo, the person's own."""
    return f"{COMMAND_LINE}: {login_name()}"


class SiteCommand(BaseCommand):
    """A command that says its lines on stdout."""

    def say(self, *lines: str) -> None:
        for line in lines:
            self.stdout.write(line)

    def ask(self, question: str, default: str) -> str:
        """Ask the person at the terminal; Enter takes the default."""
        try:
            return input(f"{question} [{default}]: ").strip() or default
        except EOFError as error:
            raise CommandError(NOBODY) from error

    def ask_secret(self, question: str) -> str:
        """Ask for what nobody else is to read; nothing that is typed shows."""
        try:
            return getpass.getpass(question)
        except EOFError as error:
            raise CommandError(NOBODY) from error


def add_password_file(parser: ArgumentParser) -> None:
    """A password comes from a file or from stdin, never as a word of the command, which others can read."""
    parser.add_argument("--password-file", metavar="FILE", help="first line is the password; - reads stdin")


def password_of(path: str | None) -> str | None:
    """Return the first line of the file, or of stdin for `-`; None where no file was named. Raises CommandError."""
    if path is None:
        return None
    try:
        if path == "-":
            text = sys.stdin.readline(MAX_PASSWORD_BYTES)
        else:
            with Path(path).open() as file:
                text = file.readline(MAX_PASSWORD_BYTES)
    except OSError as error:
        raise CommandError(f"--password-file cannot be read: {error.strerror}.") from error
    if not (password := text.rstrip("\r\n")):
        raise CommandError("--password-file has no password in its first line.")
    return password


def user_of(username: str) -> User:
    """Return the account of this name. Raises CommandError."""
    user = User.objects.filter(username=username).first()
    if user is None:
        raise CommandError(f"There is no account {username}. add_person makes one.")
    return user


def backend_of(slug: str) -> Backend:
    """Return the backend of this slug. Raises CommandError."""
    backend = Backend.objects.filter(slug=slug).first()
    if backend is None:
        known = ", ".join(Backend.objects.values_list("slug", flat=True)) or "none yet"
        raise CommandError(f"There is no backend {slug}. There are: {known}. add_backend makes one.")
    return backend


Parser = Any
"""Django hands its commands a parser of its own."""

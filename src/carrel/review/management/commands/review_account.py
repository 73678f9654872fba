"""`review_account`: the accounts of a review site, and what they may open on this backend."""

import getpass
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from carrel.messages.level4 import ProjectDetails, WorkspaceDetails
from carrel.review.models import Account
from carrel.review.permissions import LEVELS
from carrel.review.service import accounts
from carrel.units.people import login_name

LONGEST_PASSWORD = 4096


class Command(BaseCommand):
    help = "Accounts of this machine, for a site without a job server; and the levels of all accounts."

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_subparsers(dest="what", required=True, metavar="WHAT")

        add = what.add_parser("add", help="make an account, with level 4")
        add.add_argument("username")
        add.add_argument("--name", default="", help="as others know the person")
        add.add_argument("--email", default="")
        add.add_argument("--orcid", default="")
        _add_password_file(add)

        password = what.add_parser("password", help="give an account another password; its sessions end")
        password.add_argument("username")
        _add_password_file(password)

        member = what.add_parser("member", help="make somebody a member of a workspace's project")
        member.add_argument("username")
        member.add_argument("workspace")
        member.add_argument("--project", default="", help="the project's name; default: the workspace's")
        member.add_argument("--organisation", action="append", default=[], help="the leading one first")
        member.add_argument("--archived", action="store_true", help="nothing more is requested from the workspace")
        member.add_argument("--ended", action="store_true", help="the project has ended")
        member.add_argument("--remove", action="store_true")

        checker = what.add_parser("checker", help="make somebody an output checker")
        checker.add_argument("username")
        checker.add_argument("--remove", action="store_true")

        level = what.add_parser("level", help="let somebody open what is of a level on this backend")
        level.add_argument("username")
        level.add_argument("level", type=int, choices=LEVELS)
        level.add_argument("--remove", action="store_true")

        close = what.add_parser("close", help="let an account in no more; what it did stays")
        close.add_argument("username")
        close.add_argument("--reopen", action="store_true")

        what.add_parser("list", help="show all accounts with what they may do")

    def handle(self, **options: Any) -> None:
        try:
            getattr(self, options["what"])(options, f"command line: {login_name()}")
        except accounts.AccountRefused as error:
            raise CommandError(str(error)) from error
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error

    def add(self, options: dict[str, Any], who: str) -> None:
        username = options["username"]
        accounts.add_local(
            username,
            fullname=options["name"],
            password=_password(options["password_file"]),
            email=options["email"],
            orcid=options["orcid"],
            actor=who,
        )
        accounts.set_level(username, 4, is_granted=True, actor=who)
        self.stdout.write(f"{username} has an account, with level 4.")

    def password(self, options: dict[str, Any], who: str) -> None:
        accounts.set_password(options["username"], _password(options["password_file"]), actor=who)
        self.stdout.write(f"{options['username']} has a new password; their sessions have ended.")

    def member(self, options: dict[str, Any], who: str) -> None:
        username, workspace = options["username"], options["workspace"]
        project = ProjectDetails(
            name=options["project"] or workspace, ongoing=not options["ended"], orgs=options["organisation"]
        )
        details = WorkspaceDetails(project_details=project, archived=options["archived"])
        accounts.set_membership(username, workspace, None if options["remove"] else details, actor=who)
        self.stdout.write(f"{username} is {'no' if options['remove'] else 'a'} member of {workspace}.")

    def checker(self, options: dict[str, Any], who: str) -> None:
        accounts.set_checker(options["username"], is_checker=not options["remove"], actor=who)
        self.stdout.write(f"{options['username']} is {'no' if options['remove'] else 'an'} output checker.")

    def level(self, options: dict[str, Any], who: str) -> None:
        username, level = options["username"], options["level"]
        accounts.set_level(username, level, is_granted=not options["remove"], actor=who)
        self.stdout.write(f"{username} {'has no' if options['remove'] else 'has'} level {level}.")

    def close(self, options: dict[str, Any], who: str) -> None:
        accounts.close(options["username"], is_open=options["reopen"], actor=who)
        self.stdout.write(f"The account {options['username']} is {'open' if options['reopen'] else 'closed'}.")

    def list(self, options: dict[str, Any], who: str) -> None:
        for account in Account.objects.prefetch_related("levels"):
            rights = account.authorisation
            words = [f"level {grant.level} on {grant.backend}" for grant in account.levels.all()]
            words += ["output checker"] if rights.get("output_checker") else []
            words += [f"member of {name}" for name in sorted(rights.get("workspaces", {}))]
            words += [] if account.is_active else ["closed"]
            self.stdout.write(f"{account.username} ({account.source}): {', '.join(words) or 'nothing'}")


def _add_password_file(parser: ArgumentParser) -> None:
    """A password comes from a file or from stdin, never as a word of the command, which others can read."""
    parser.add_argument("--password-file", metavar="FILE", help="first line is the password; - reads stdin")


def _password(path: str | None) -> str:
    """Return the first line of the file, of stdin for `-`, or what is typed. Raises CommandError."""
    if path is None:
        return getpass.getpass("New password: ")
    try:
        if path == "-":
            return sys.stdin.readline(LONGEST_PASSWORD).rstrip("\r\n")
        with Path(path).open() as file:
            return file.readline(LONGEST_PASSWORD).rstrip("\r\n")
    except OSError as error:
        raise CommandError(f"--password-file cannot be read: {error.strerror}.") from error

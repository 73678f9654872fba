"""`add_person USERNAME`: an account, with roles everywhere or in a project."""

from typing import Any

from django.core.management.base import CommandError

from carrel.jobserver.management.base import Parser, SiteCommand, actor, add_password_file, password_of
from carrel.jobserver.models import Project
from carrel.jobserver.service import accounts, setup


class Command(SiteCommand):
    help = "Make an account, or add roles to one; prints a link to choose a password unless --password-file gives one."

    def add_arguments(self, parser: Parser) -> None:
        parser.add_argument("username")
        parser.add_argument("--name", default="", help="as others know the person")
        parser.add_argument("--email")
        parser.add_argument("--role", action="append", default=[], metavar="ROLE", help="may be given several times")
        parser.add_argument("--project", metavar="SLUG", help="the roles hold in this project; default: everywhere")
        parser.add_argument("--program", action="store_true", help="a program: it has tokens and cannot sign in")
        add_password_file(parser)

    def handle(self, **options: Any) -> None:
        password = password_of(options["password_file"])
        project = Project.objects.filter(slug=options["project"]).first() if options["project"] else None
        if options["project"] and project is None:
            raise CommandError(f"There is no project {options['project']}.")
        who = actor()
        try:
            user = setup.ensure_person(
                options["username"],
                actor=who,
                fullname=options["name"],
                email=options["email"],
                password=password,
                roles=() if project else options["role"],
                is_bot=options["program"],
            )
            if project:
                setup.ensure_project(project.slug, actor=who, members={user: options["role"]})
        except setup.SetupError as error:
            raise CommandError(str(error)) from error
        self.say(f"{user} has an account.")
        if not (user.has_usable_password() or user.is_bot):
            self.say("This link chooses a password, within a day and once:", accounts.password_link(user, who))

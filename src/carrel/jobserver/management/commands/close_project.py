"""`close_project PROJECT --by USERNAME [--reason TEXT] [--delete [-y]]`."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from carrel.jobserver.models import Project, User
from carrel.jobserver.service import closing, projects


class Command(BaseCommand):
    help = "Close a project (everything in it is read-only), or delete a closed one whose retention is over."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("project", help="the project's address: health-insurance")
        parser.add_argument("--by", required=True, metavar="USERNAME", help="who decided it: the audit log says so")
        parser.add_argument("--reason", default="", help="why, for the audit log")
        parser.add_argument("--delete", action="store_true", help="delete it with all that it ran and released")
        parser.add_argument("--skip-confirm", "-y", action="store_true", help="do not ask before deleting")

    def handle(self, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        person = User.objects.filter(username=options["by"]).first()
        if project is None or person is None:
            missing = f"project {options['project']!r}" if project is None else f"account {options['by']!r}"
            raise CommandError(f"There is no {missing}.")
        try:
            if options["delete"]:
                self.delete(project, person, ask=not options["skip_confirm"])
            else:
                projects.set_archived(project, True, person, options["reason"])
                self.stdout.write(f"{project.name} is closed: everything in it is read-only.")
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error

    def delete(self, project: Project, person: User, *, ask: bool) -> None:
        """Delete it, once its name was typed."""
        if ask and input(f"This deletes {project.name} for good. Type {project.slug} to go on: ") != project.slug:
            raise CommandError("Nothing was deleted.")
        counts = closing.delete_project(project, person)
        self.stdout.write(f"{project.name} was deleted: {', '.join(f'{n} {what}' for what, n in counts.items() if n)}.")

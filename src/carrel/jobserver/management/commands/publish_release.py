"""`publish_release RELEASE --by USERNAME`: makes a release public, as its publisher would on the pages."""

from typing import Any

from django.core.management.base import CommandError
from django.urls import reverse

from carrel.jobserver.management.base import Parser, SiteCommand, actor, user_of
from carrel.jobserver.models import Release
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.persons import rights_of
from carrel.jobserver.service import publications
from carrel.jobserver.service.notifications import absolute_url


class Command(SiteCommand):
    help = "Draft all files of a release, and approve the draft; prints the public page's address."

    def add_arguments(self, parser: Parser) -> None:
        parser.add_argument("release", help="its id")
        parser.add_argument("--by", required=True, metavar="USERNAME", help="somebody who may publish")

    def handle(self, *, release: str, by: str, **options: Any) -> None:
        row = Release.objects.select_related("workspace__project").filter(pk=release).first()
        if row is None:
            raise CommandError(f"There is no release {release}.")
        workspace, user = row.workspace, user_of(by)
        if why := rights_of(user).why_not(Permission.SNAPSHOT_PUBLISH, project_id=workspace.project_id):
            raise CommandError(why)
        files = list(row.files.available().values_list("pk", flat=True))
        try:
            snapshot = publications.draft(workspace, files, user, actor())
            publications.approve(snapshot, user, actor())
        except publications.PublicationError as error:
            raise CommandError(str(error)) from error
        self.say(absolute_url(reverse("published", args=[workspace.project.slug, workspace.name])))

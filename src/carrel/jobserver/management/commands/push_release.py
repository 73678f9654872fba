"""`push_release RELEASE`: the files of a release on a branch of the study's repository."""

from typing import Any

from django.core.management.base import CommandError

from carrel.jobserver.management.base import SiteCommand, actor
from carrel.jobserver.models import Release
from carrel.jobserver.service.repository_pushes import PushError, push_files


class Command(SiteCommand):
    help = "Push a release to the branch RELEASE_BRANCH of the study's repository; again changes nothing."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("release", help="the release's id, as its page and the review site show it")

    def handle(self, **options: Any) -> None:
        rows = Release.objects.select_related("workspace__project")
        release = rows.filter(pk=options["release"]).first()
        if release is None:
            raise CommandError(f"There is no release {options['release']}.")
        files = list(release.files.select_related("backend"))
        text = f"Release {release.pk} of {release.workspace.name}"
        try:
            pushed = push_files(release.workspace, files, text, release.created_at, actor())
        except PushError as error:
            raise CommandError(str(error)) from error
        self.say(f"{'Pushed as' if pushed.is_new else 'Already there, at'} commit {pushed.commit}.")

"""`add_job REPO ACTION... --backend B`: a request without HTTP, for development."""

import pprint
import secrets
import string
from typing import Any

from django.core.management.base import CommandError

from carrel.controller.management.base import AdminCommand, actor, backend_slug


def new_rap_id() -> str:
    """16 of the characters a rap_id may have."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(16))


class Command(AdminCommand):
    help = "Ask for actions of a repository to be run, without the RAP API."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("repo", metavar="REPO", help="URL of the repository (a path, with ALLOW_LOCAL_GIT_REPOS)")
        parser.add_argument("actions", nargs="+", metavar="ACTION", help="names of actions, or run_all")
        parser.add_argument("--backend", required=True, type=backend_slug)
        parser.add_argument("--commit", help="default: the head of the branch")
        parser.add_argument("--branch", default="main")
        parser.add_argument("--workspace", default="test")
        parser.add_argument("--database", default="default")
        parser.add_argument("-f", "--force-run-dependencies", action="store_true")

    def handle(self, **options: Any) -> None:
        from carrel.controller import creation
        from carrel.repos import GitError, RepoInfrastructureError

        try:
            request = self.request(options)
            self.say("Submitting RAP:", pprint.pformat(request.model_dump(mode="json")))
            answer = creation.create(request)
        except (creation.CreationError, GitError, RepoInfrastructureError) as error:
            raise CommandError(str(error)) from error
        self.report(request.rap_id, str(answer.details), answer.count)

    def request(self, options: dict[str, Any]) -> Any:
        from carrel.controller import creation
        from carrel.messages.rap import RapCreateRequest

        commit = options["commit"] or creation.mirrors().branch_head(options["repo"], options["branch"])
        return RapCreateRequest(
            backend=options["backend"],
            rap_id=new_rap_id(),
            workspace=options["workspace"],
            repo_url=options["repo"],
            branch=options["branch"],
            commit=commit,
            database_name=options["database"],
            requested_actions=options["actions"],
            codelists_ok=True,
            force_run_dependencies=options["force_run_dependencies"],
            created_by=actor().removeprefix("admin:"),
            project="test-project",
            orgs=["test-org"],
        )

    def report(self, rap_id: str, details: str, count: int) -> None:
        from carrel.controller.service import administration, rap_jobs

        administration.note("add_job", actor(), rap_id=rap_id, details=details)
        if not count:
            self.say(details)
            return
        self.say(f"Created {count} new jobs:")
        for job in rap_jobs(rap_id):
            shown = {field.attname: getattr(job, field.attname) for field in job._meta.concrete_fields}
            self.say(pprint.pformat(shown))

"""`job_server_link`."""

from typing import Any

from django.core.management.base import CommandError

from carrel.controller import settings
from carrel.controller.management.base import AdminCommand
from carrel.controller.models import JobServerLink
from carrel.controller.service import links


class Command(AdminCommand):
    help = "Say how it goes with the job server that is polled for each backend. Fails when one of them has a problem."

    def handle(self, **options: Any) -> None:
        rows = JobServerLink.objects.in_bulk(settings.get().linked_backends)
        for slug in settings.get().backends:
            self.say(f"[{slug}] {_state(slug, rows.get(slug))}")
        if problems := [slug for slug, row in rows.items() if row.failures]:
            raise CommandError(f"These links have a problem: {', '.join(problems)}.")


def _state(slug: str, link: JobServerLink | None) -> str:
    if slug not in settings.get().linked_backends:
        return f"off ({settings.prefix(slug)}JOB_SERVER_LINK_TOKEN and JOB_SERVER_ENDPOINT turn it on)"
    endpoint, waiting = settings.get().job_server_endpoint, len(links.unsettled(slug))
    if link is None:
        return f"{endpoint}: not asked yet; is `carrel controller` running?"
    if link.failures:
        since = f"{link.problem_since:%Y-%m-%dT%H:%M:%SZ}"
        return f"{endpoint}: fails since {since} ({link.failures} times), {waiting} requests wait: {link.problem}"
    answered = f"{link.answered_at:%Y-%m-%dT%H:%M:%SZ}" if link.answered_at else "never"
    return f"{endpoint}: last answered {answered}, {waiting} requests in progress"

"""The job server's link as one process that may be killed anywhere and is then simply run again.

It remembers nothing between runs. `run` is called in a process of its own, by `tests.support.forked`.
"""

import os
import signal
from collections.abc import Iterator, Mapping

# Imported before the fork, so that a run is as quick as its own work; none of these looks at settings.
import django
import httpx
import pydantic

import carrel.clients.rap
import carrel.project

UPLOADED = b"age,count\n40,100\n"
ALREADY_HERE = (django, httpx, pydantic, carrel.clients.rap, carrel.project)


def run(environ: Mapping[str, str]) -> None:
    """Send, ask, cancel what the second run still does once it has jobs, and tell, until nothing is left to do."""
    os.environ.update(environ)
    os.environ["DJANGO_SETTINGS_MODULE"] = "carrel.web.settings"
    django.setup()
    from carrel.clients.rap import RapClient
    from carrel.jobserver.models import Cancellation, JobRequest, OutgoingMessage
    from carrel.jobserver.models.runs import ACTIVE_STATUSES
    from carrel.jobserver.service import link, outbox
    from carrel.jobserver.service.cancellations import ask_to_cancel

    with RapClient(environ["RAP_API_BASE_URL"], environ["RAP_API_TOKEN"]) as client:
        while True:
            for rows in (JobRequest, Cancellation, OutgoingMessage):  # time passes
                rows.objects.filter(sent_at=None).update(send_after=None)
            for key in link.due_requests("default"):
                link.send_request(key, client)
            for key in link.due_cancellations("default"):
                link.send_cancellation(key, client)
            link.poll_requests("default", client)
            cancelled = JobRequest.objects.get(run=2)
            if cancelled.jobs.exists() and not cancelled.cancellations.exists():
                ask_to_cancel(cancelled, (), cancelled.created_by)
            messages = outbox.due_messages()
            for message in messages:
                outbox.send_message(message.pk)
            if not messages and not JobRequest.objects.filter(status__in=ACTIVE_STATUSES).exists():
                return


def upload(environ: Mapping[str, str], release: str, path: str, half: bool = False) -> None:
    """Take the bytes of an announced file as the API does; `half`: the process is killed in the middle of them."""
    os.environ.update(environ)
    os.environ["DJANGO_SETTINGS_MODULE"] = "carrel.web.settings"
    django.setup()
    from carrel.jobserver.models import Release
    from carrel.jobserver.service.releases import store_file

    def blocks() -> Iterator[bytes]:
        yield UPLOADED[:4]
        if half:
            os.kill(os.getpid(), signal.SIGKILL)
        yield UPLOADED[4:]

    row = Release.objects.get(pk=release)
    store_file(row, row.backend, path, blocks(), row.created_by, row.created_by)

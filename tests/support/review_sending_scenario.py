"""A review site's sending as one process that may be killed anywhere and is then simply run again.

It remembers nothing between runs. `run` is called in a process of its own, by `tests.support.forked`.
"""

import os
from collections.abc import Mapping

# Imported before the fork, so that a run is as quick as its own work; none of these looks at settings.
import django
import httpx
import pydantic

import carrel.clients.releases

ALREADY_HERE = (django, httpx, pydantic, carrel.clients.releases)


def run(environ: Mapping[str, str]) -> None:
    """Upload and tell until nothing is left to do."""
    os.environ.update(environ)
    os.environ["DJANGO_SETTINGS_MODULE"] = "carrel.web.settings"
    django.setup()
    from django.utils import timezone

    from carrel.clients.releases import ReleasesClient
    from carrel.review.sending.destinations import JobServerDestination
    from carrel.review.sending.housekeeping import keep_house
    from carrel.review.sending.notices import send_notices
    from carrel.review.sending.uploads import due_requests, upload_request

    with ReleasesClient(environ["JOB_SERVER_ENDPOINT"], environ["JOB_SERVER_TOKEN"]) as client:
        for request_id in due_requests(timezone.now()):
            upload_request(request_id, JobServerDestination(client))
        send_notices(client)
    keep_house()

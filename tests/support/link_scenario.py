"""A link, an agent and a sweep as one process that may be killed anywhere and is then simply run again.

It remembers nothing between runs. `run` is called in a process of its own, by `tests.support.forked`.
"""

import os
from collections.abc import Mapping

# Imported before the fork, so that a run is as quick as its own work; none of these looks at settings.
import django
import httpx
import jsonschema
import pydantic

import carrel.clients.job_server
import carrel.project

ALREADY_HERE = (django, httpx, jsonschema, pydantic, carrel.clients.job_server, carrel.project)


def run(environ: Mapping[str, str]) -> None:
    """Exchange and work until the job server has heard the last of everything."""
    os.environ.update(environ)
    os.environ["DJANGO_SETTINGS_MODULE"] = "carrel.web.settings"
    django.setup()
    from tests.support.crash_scenario import step

    from carrel.clients.job_server import JobServerClient
    from carrel.controller.link.exchange import Link
    from carrel.controller.service import links

    with JobServerClient(environ["JOB_SERVER_ENDPOINT"], environ["TEST_JOB_SERVER_LINK_TOKEN"]) as client:
        link = Link("test", client)
        moves = True
        while moves:
            link.once()
            moves = step() or bool(links.unsettled("test"))
        link.once()
        link.release()

"""One thread for each backend whose job server is polled: a server that hangs holds up no other, nor the scheduler."""

import logging
import threading

from django.db import close_old_connections, connection

from carrel.clients.job_server import JobServerClient
from carrel.controller import settings
from carrel.controller.link.exchange import Link

logger = logging.getLogger(__name__)


def start(stop: threading.Event) -> list[threading.Thread]:
    """Poll until `stop` is set. No thread at all where no job server is configured."""
    threads = [
        threading.Thread(target=_run, args=(backend, stop), name=f"link-{backend}", daemon=True)
        for backend in settings.get().linked_backends
    ]
    for thread in threads:
        thread.start()
    return threads


def _run(backend: str, stop: threading.Event) -> None:
    token = settings.get().backend(backend).job_server_link_token
    with JobServerClient(settings.get().job_server_endpoint, token) as client:
        link = Link(backend, client)
        while not stop.is_set():
            close_old_connections()
            stop.wait(link.once())
        link.release()
    connection.close()

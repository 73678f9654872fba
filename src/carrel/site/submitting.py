"""Sending a study to a site that is up, and watching what becomes of it."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from carrel.site.client import Requests
from carrel.site.layout import SiteError
from carrel.site.submit import StudyRequest, choose_backends
from carrel.site.watch import Board, follow


def requests_of(root: Path) -> Requests:
    """A client of the site in `root`; SiteError when none is up there."""
    try:
        port = json.loads((root / "site.json").read_text())["port"]
        token = json.loads((root / "secrets.json").read_text())["client"]
    except (OSError, ValueError, KeyError):
        raise SiteError(f"no site in {root}: start one with `carrel up --dir {root}`") from None
    return Requests(f"http://127.0.0.1:{port}/controller/v1/", token)


def send_and_watch(root: Path, study: StudyRequest, wanted: Sequence[str], console: Console, wait: bool = True) -> bool:
    """Send to each backend, then watch; True when nothing failed."""
    requests = requests_of(root)
    raps = {}
    for backend in choose_backends(wanted, requests.backends()):
        answer = requests.create(study, backend)
        console.print(f"{backend}: {answer.details} ({answer.rap_id})", markup=False, highlight=False)
        if answer.count:
            raps[answer.rap_id] = backend
    if not raps or not wait:
        return True
    board = follow(Board(raps), lambda: requests.jobs(list(raps)), console)
    for job in board.failures:
        console.print(f"{job['backend']} {job['action']}: {job['status_message']}", style="red", markup=False)
    return not board.failures

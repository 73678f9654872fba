"""Sending a study to a site that is up, and watching what becomes of it."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from carrel.site.client import Requests
from carrel.site.layout import Site, SiteError
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


def send_and_watch(
    requests: Requests, root: Path, study: StudyRequest, wanted: Sequence[str], console: Console, wait: bool = True
) -> bool:
    """Send to each backend, then watch; True when nothing failed."""
    raps = {}
    for backend in choose_backends(wanted, requests.backends()):
        answer = requests.create(study, backend)
        _say(console, f"{backend}: {answer.details}")
        if answer.count:
            raps[answer.rap_id] = backend
    if not raps or not wait:
        return True
    board = follow(Board(raps), lambda: requests.jobs(list(raps)), console)
    site = Site(root.resolve(), ())
    for job in board.failures:
        console.print(f"{job['backend']} {job['action']}: {job['status_message']}", style="red", markup=False)
        log = site.high_privacy(str(job["backend"])) / "workspaces" / study.workspace / f"metadata/{job['action']}.log"
        if log.exists():
            _say(console, f"  log: {log}")
    for backend in board.backends:
        _say(console, f"{backend}: level 4 files in {site.level4(backend, study.workspace)}/")
    return not board.failures


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)

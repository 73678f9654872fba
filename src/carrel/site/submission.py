"""Sending a study to a site that is up, and watching what becomes of it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from carrel.agent.freshness import changed_since
from carrel.site.board import Board, follow
from carrel.site.client import Requests
from carrel.site.layout import Secrets, Site, load_site
from carrel.site.study_requests import StudyRequest, choose_backends


def requests_of(root: Path) -> Requests:
    """Return a client of the site in `root`; SiteError when none is up there."""
    site = load_site(root)
    return Requests(site.rap_api, Secrets.of(site).client)


def send_and_watch(
    requests: Requests, root: Path, study: StudyRequest, backends: Sequence[str], console: Console, *, wait: bool = True
) -> bool:
    """Send to each backend, then watch; True when nothing failed."""
    raps = {}
    chosen = choose_backends(backends, requests.backends())
    for backend in chosen:
        answer = requests.create(study, backend)
        _say(console, f"{backend}: {answer.details}")
        if answer.count:
            raps[answer.rap_id] = backend
    if not wait:
        return True
    failed = bool(raps) and _watch(requests, root, study, raps, console)
    for line in data_lines(load_site(root), study.workspace, chosen):
        _say(console, line)
    return not failed


def _watch(requests: Requests, root: Path, study: StudyRequest, raps: Mapping[str, str], console: Console) -> bool:
    """Watch until all is final; True when something failed."""
    board = follow(Board(raps), lambda: requests.jobs(list(raps)), console)
    site = Site(root.resolve(), ())
    for job in board.failures:
        console.print(f"{job['backend']} {job['action']}: {job['status_message']}", style="red", markup=False)
        log = site.high_privacy(str(job["backend"])) / "workspaces" / study.workspace / f"metadata/{job['action']}.log"
        if log.exists():
            _say(console, f"  log: {log}")
    for backend in board.backends:
        _say(console, f"{backend}: level 4 files in {site.level4(backend, study.workspace)}/")
    return bool(board.failures)


def data_lines(site: Site, workspace: str, backends: Sequence[str]) -> Iterator[str]:
    """Tell which of the outputs that are there were made from data that has changed since; none of those just made."""
    for backend in (backend for backend in site.backends if backend.name in backends):
        changes = changed_since(site.storage(backend.name), backend.file_databases, workspace)
        for action, change in changes.items():
            if change.tables:
                yield f"{backend.name} {action}: {change.words()} (name it to run it again, or give --force)"


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)

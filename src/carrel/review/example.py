"""A first request from its files to its release, as an author and checkers would make it by hand: for the demo."""

import time
from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from carrel.clients.releases import ReleasesClient
from carrel.review import settings
from carrel.review.accounts import viewer
from carrel.review.decisions import Vote
from carrel.review.machine import ReviewStatus
from carrel.review.models import ReleaseRequest
from carrel.review.queries.contents import contents_of
from carrel.review.queries.file_states import file_states
from carrel.review.rules import ActRefused, FileState
from carrel.review.service import accounts, files, findings, groups, requests, votes
from carrel.review.viewers import Viewer
from carrel.review.workspaces import read_workspace

RELEASED_WITHIN = 60.0
LOOKS = 3
"""Taking a file away may show the rules something of another one, such as an image without its numbers."""
GROUP = "tables and figures"
CONTEXT = "The example study's results, of data that is made up or public. Its protocol says how they were made."
CONTROLS = (
    "Counts are rounded and small ones suppressed by the study's own code; what the rules still found is held back."
)


def first_release(workspace_name: str, author_name: str, checker_names: Sequence[str]) -> dict[str, Any]:
    """Release what is new in a workspace and holds nothing that the disclosure rules found; wait until it is out.

    Returns the request's id, the released paths, and by path why others were held back. Where nothing is new, those of
    the last release. Raises ActRefused.
    """
    author, *checkers = [_person(name) for name in (author_name, *checker_names)]
    workspace = read_workspace(workspace_name)
    stubs = {path: file.record for path, file in workspace.files.items() if file.is_stub and file.record}
    held_back = {path: record.message or "" for path, record in stubs.items()}
    states = file_states(author, workspace)
    paths = [path for path, state in states.items() if state is FileState.UNRELEASED]
    before = ReleaseRequest.objects.filter(workspace=workspace_name, status=ReviewStatus.RELEASED).first()
    if not paths:
        if before is None:
            raise ActRefused(f"Nothing of {workspace_name} can be requested.")
        return _result(before, held_back)
    request = requests.create(author, workspace_name, title="First results")
    held_back |= files.add_all(author, request, paths, group=GROUP)[1]
    for _ in range(LOOKS):
        findings.refresh(author, request)
        contents = contents_of(ReleaseRequest.objects.get(pk=request.pk))
        for file in contents.outputs:
            if file.path in contents.open_findings():
                held_back[file.path] = contents.findings[file.pk][0].message
                files.withdraw_file(author, file)
    if not request.files.exists():
        requests.withdraw(author, request)
        if before is not None:
            return _result(before, held_back)
        reasons = "; ".join(f"{path}: {why}" for path, why in held_back.items())
        raise ActRefused(f"All of {workspace_name} is held back. {reasons}")
    groups.describe(author, request, GROUP, context=CONTEXT, controls=CONTROLS)
    requests.submit(author, request)
    for checker in checkers:
        for file in request.files.all():
            votes.vote(checker, file, Vote.APPROVED, sha256=file.sha256)
        votes.submit_review(checker, request)
    requests.approve(checkers[0], request)
    deadline = time.monotonic() + RELEASED_WITHIN
    while (row := ReleaseRequest.objects.get(pk=request.pk)).status != ReviewStatus.RELEASED:
        if time.monotonic() > deadline:
            errors = set(row.files.exclude(upload_error="").values_list("upload_error", flat=True))
            raise ActRefused(f"Request {row.pk} is not released: {'; '.join(errors) or 'does the review site run?'}")
        time.sleep(0.1)
    return _result(row, held_back)


def _person(username: str) -> Viewer:
    """Return somebody as the job server knows them now. Raises ActRefused."""
    own, now = settings.get(), timezone.now()
    with ReleasesClient(own.job_server_endpoint, own.token) as client:
        account = accounts.known_by_job_server(client.authorise(username), now)
    person = viewer(account, now) if account else None
    if person is None:
        raise ActRefused(f"{username} may not sign in here.")
    return person


def _result(request: ReleaseRequest, held_back: dict[str, str]) -> dict[str, Any]:
    released = request.files.exclude(uploaded_at=None).order_by("path").values_list("path", flat=True)
    return {"request": request.pk, "released": list(released), "held_back": held_back}

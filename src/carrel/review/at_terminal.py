"""What `carrel release` does: the review site's acts for whoever sits at a terminal of the backend, without a browser.

Each is held to the very rules that the pages are held to, and leaves the same audit events.
"""

import difflib
import os
import pwd
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils import timezone

from carrel.clients.releases import ReleasesClient
from carrel.review import copies, settings
from carrel.review.accounts import viewer
from carrel.review.audit_types import AuditType
from carrel.review.decisions import Vote
from carrel.review.machine import IN_AUTHORS_HANDS, STATES, ReviewStatus
from carrel.review.models import Account, ReleaseRequest, RequestFile
from carrel.review.permissions import Data, refusal_to_open
from carrel.review.queries.contents import contents_of
from carrel.review.queries.file_states import file_states
from carrel.review.queries.situations import situation_of
from carrel.review.rules import Act, ActRefused, FileType, check
from carrel.review.sending.destinations import FolderDestination, JobServerDestination
from carrel.review.sending.notices import send_notices
from carrel.review.sending.uploads import upload_request
from carrel.review.service import comments, files, findings, groups, releases, requests, votes
from carrel.review.service.audit import record
from carrel.review.signing_in import with_current_rights
from carrel.review.viewers import Viewer
from carrel.review.workspaces import read_workspace, workspace_names

SHOWN_HASH = 12
"""Digits of a file's SHA-256 that are shown, and typed to approve it."""
FEWEST_DIGITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """What somebody asks to release: files of a workspace in one group, which the context and the controls explain."""

    workspace: str
    paths: Sequence[str]
    supporting: Sequence[str] = ()
    title: str = ""
    group: str = "default"
    context: str = ""
    controls: str = ""


def person_here() -> Viewer:
    """Return who sits at the terminal: the account of the user of this machine, or of who called sudo.

    REVIEW_OS_USERS says whose names differ. Raises ActRefused where there is none, or it may not open level 4.
    """
    sudo = os.environ.get("SUDO_UID", "")
    number = int(sudo) if sudo.isdecimal() else os.getuid()
    try:
        login = pwd.getpwuid(number).pw_name
    except (KeyError, OverflowError):
        login = f"uid {number}"
    names = dict(pair.split("=", 1) for pair in settings.get().review_os_users if "=" in pair)
    username, now = names.get(login, login), timezone.now()
    account = Account.objects.prefetch_related("levels").filter(pk=username, is_active=True).first()
    person = viewer(with_current_rights(account, now), now) if account else None
    if person is None:
        raise ActRefused(
            f"{login} has no account {username} here, or what it may do is not known just now. `carrel manage "
            "review_account` makes accounts; where there is a job server, sign in once on the review site."
        )
    if refusal := refusal_to_open(person.levels, Data.MODERATELY_SENSITIVE):
        raise ActRefused(refusal)
    return person


def request_of(person: Viewer, request_id: str) -> ReleaseRequest:
    """Return a request that somebody may see. Raises ActRefused, alike for one that is not there."""
    request = ReleaseRequest.objects.filter(pk=request_id.upper()).first()
    if request is None:
        raise ActRefused(f"There is no request {request_id}, or you may not see it. `carrel release list` shows yours.")
    check(Act.VIEW, situation_of(Act.VIEW, person, contents_of(request)))
    return request


def listing(person: Viewer, workspace: str) -> Iterator[str]:
    """Yield the outputs of a workspace with their states, and its requests; without one, all workspaces' requests."""
    names = [workspace] if workspace else [name for name in workspace_names() if person.details(name)]
    if workspace:
        check(Act.VIEW, person.situation(workspace))
        listed = read_workspace(workspace)
        for path, state in file_states(person, listed).items():
            yield f"{state.lower().replace('_', ' '):14}{path}"
    rows = ReleaseRequest.objects.filter(workspace__in=names)
    if person.is_checker and not workspace:
        rows = ReleaseRequest.objects.all()
    for request in rows.order_by("-created_at")[:100]:
        words = STATES[ReviewStatus(request.status)].words
        yield f"{request.pk}  {request.workspace}  by {request.author_id}: {words}  {request.title}".rstrip()
        for file in request.files.order_by("path"):
            kind = "" if file.file_type == FileType.OUTPUT else f"  ({file.file_type.lower()})"
            problem = f"  not uploaded: {file.upload_error}" if file.upload_error else ""
            yield f"    {file.sha256[:SHOWN_HASH]}  {request.backend}/{file.path}{kind}{problem}"


def differences(person: Viewer, request: ReleaseRequest, paths: Sequence[str]) -> Iterator[str]:
    """Yield what each file of a request has that the last release of its path had not, as a unified diff.

    Whoever looks at a file so has seen it, which is recorded.
    """
    for file in request.files.exclude(file_type=FileType.WITHDRAWN).order_by("path"):
        if paths and file.path not in paths:
            continue
        released = RequestFile.objects.filter(request__workspace=request.workspace, path=file.path)
        before = released.exclude(uploaded_at=None).exclude(request=request).order_by("-uploaded_at").first()
        record(AuditType.REQUEST_FILE_VIEW, actor=person.username, request=request, path=file.path)
        yield from difflib.unified_diff(
            _lines_of(before) if before else [],
            _lines_of(file),
            f"released in {before.request_id}" if before else "never released",
            f"{request.backend}/{file.path}={file.sha256[:SHOWN_HASH]}",
            lineterm="",
        )


def _lines_of(file: RequestFile) -> list[str]:
    """Return a file's lines, with everything that a terminal would act on shown as a question mark."""
    with copies.opened(file.request.workspace, file.request_id, file.sha256) as stream:
        text = stream.read(settings.get().max_release_file_bytes).decode(errors="replace")
    if "\0" in text:
        return [f"(not a text: {file.size} bytes)"]
    return ["".join(c if c.isprintable() or c == "\t" else "?" for c in line) for line in text.splitlines()]


def found_by_rules(person: Viewer, request: ReleaseRequest) -> Iterator[str]:
    """Yield what the disclosure rules say of a request's files; the author has them look again first."""
    if person.username == request.author_id and contents_of(request).status in IN_AUTHORS_HANDS:
        findings.refresh(person, request)
    contents = contents_of(ReleaseRequest.objects.get(pk=request.pk))
    for file in contents.current_files:
        look = contents.checks.get(file.pk)
        unchecked = "the rules did not look at it" if look is None else look.unchecked
        yield f"{request.backend}/{file.path}" + (f": not checked: {unchecked}" if unchecked else "")
        for row in contents.findings.get(file.pk, ()):
            place = ", ".join(filter(None, [f"line {row.line}" if row.line else "", row.column]))
            answer = f" (justified: {row.justification})" if row.justification else ""
            yield f"    {row.rule}{f' at {place}' if place else ''}: {row.message}{answer}"


def begin(person: Viewer, new: NewRequest, *, is_submitted: bool) -> tuple[ReleaseRequest, dict[str, str]]:
    """Make a request, and submit it where asked; returns it, and by path why files were not added."""
    request = requests.create(person, new.workspace, title=new.title)
    _, refused = files.add_all(person, request, new.paths, group=new.group)
    more = files.add_all(person, request, new.supporting, group=new.group, file_type=FileType.SUPPORTING)[1]
    groups.describe(person, request, new.group, context=new.context, controls=new.controls)
    if is_submitted and not (refused or more):
        request = requests.submit(person, request)
    return request, {**refused, **more}


def submit(person: Viewer, request: ReleaseRequest) -> ReleaseRequest:
    """Hand a request to the checkers. Raises ActRefused."""
    return requests.submit(person, request)


def approve(person: Viewer, request: ReleaseRequest, seen: Sequence[str], *, is_done: bool, is_release: bool) -> str:
    """Approve files as they were seen, each as `PATH=SHA256` with some first digits; returns the request's status.

    `is_done`: the review is submitted. `is_release`: once all reviews are in, the request is approved for release.
    Raises ActRefused.
    """
    outputs = {file.path: file for file in contents_of(request).outputs}
    for text in seen:
        path, _, digits = text.rpartition("=")
        file = outputs.get(path.removeprefix(f"{request.backend}/"))
        if file is None:
            raise ActRefused(
                f"Request {request.pk} has no output {path or text}. Write PATH=SHA256, as `diff` shows it."
            )
        if len(digits) < FEWEST_DIGITS or not file.sha256.startswith(digits.lower()):
            raise ActRefused(f"{file.path} is not the file that you name: look at it again with `carrel release diff`.")
        votes.vote(person, file, Vote.APPROVED, sha256=file.sha256)
    if is_done:
        request = votes.submit_review(person, request)
    if is_release:
        request = requests.approve(person, request)
    return STATES[ReviewStatus(ReleaseRequest.objects.get(pk=request.pk).status)].words


def refuse(person: Viewer, request: ReleaseRequest, paths: Sequence[str], why: str, *, is_done: bool) -> None:
    """Request changes of files, with a comment on each for the other checkers. Raises ActRefused."""
    for file in contents_of(request).outputs:
        if file.path in paths or f"{request.backend}/{file.path}" in paths:
            votes.vote(person, file, Vote.CHANGES_REQUESTED, sha256=file.sha256)
            comments.comment(person, request, why, is_public=False, file=file)
    if is_done:
        votes.submit_review(person, request)


def publish(person: Viewer, request: ReleaseRequest) -> Iterator[str]:
    """Upload an approved request now, without waiting for the process that does it; yields how each file stands.

    Raises ActRefused.
    """
    releases.retry(person, request)
    own = settings.get()
    if own.job_server_endpoint:
        with ReleasesClient(own.job_server_endpoint, own.token) as client:
            upload_request(request.pk, JobServerDestination(client))
            send_notices(client)
    else:
        upload_request(request.pk, FolderDestination())
    for file in request.files.filter(file_type=FileType.OUTPUT).order_by("path"):
        state = "released" if file.uploaded_at else f"not released: {file.upload_error}"
        yield f"{request.backend}/{file.path}: {state}"
    request.refresh_from_db()
    if request.status == ReviewStatus.RELEASED:
        yield request.release_url or str(own.releases / request.pk)

"""The facts of a release's crate, read from the request's rows, its audit events and what the workspace still has."""

import hashlib
import os
import uuid
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version

from carrel.messages.job_logs import summary_of
from carrel.messages.manifest import METADATA_FOLDER
from carrel.review import policy, settings
from carrel.review.audit_types import AuditType
from carrel.review.crate.facts import (
    CrateFacts,
    CrateFile,
    CrateJob,
    CratePerson,
    CrateReview,
    CrateRuleRecord,
    CrateVote,
)
from carrel.review.machine import ReviewStatus
from carrel.review.models import Account, AuditEvent, ReleaseRequest, RequestFile
from carrel.review.queries.contents import RequestContents, contents_of
from carrel.review.rules import FileType
from carrel.units.beneath import open_beneath
from carrel.units.limits import MAX_LOG_END_BYTES

_CROCKFORD = str.maketrans("0123456789ABCDEFGHJKMNPQRSTVWXYZ", "0123456789ABCDEFGHIJKLMNOPQRSTUV")


def urn_of(request_id: str) -> str:
    """Return the URN of a release: a ULID has the 128 bits of a UUID."""
    number = int(request_id.translate(_CROCKFORD), 32)
    return uuid.UUID(int=number & (1 << 128) - 1).urn


def facts_of(request: ReleaseRequest, now: datetime) -> CrateFacts:
    """Return what the crate of a released request says; `now`: when it is made."""
    contents = contents_of(request)
    released = tuple(file for file in contents.outputs if file.uploaded_at is not None)
    events = list(AuditEvent.objects.filter(request=request.pk).order_by("number"))
    approval = next(event for event in reversed(events) if event.event_type == AuditType.REQUEST_APPROVE)
    head = next(event for event in reversed(events) if event.event_type == AuditType.REQUEST_RELEASE)
    rules = policy.get()
    project = rules.projects.get(request.project)
    jobs = _jobs(request, released)
    reviews = tuple(_reviews(contents, released, events))
    usernames = {request.author_id, approval.actor, *(review.checker for review in reviews)}
    usernames.update(job.run_by for job in jobs if job.run_by)
    previous, number = _lineage(request, released)
    return CrateFacts(
        identifier=urn_of(request.pk),
        request=request.pk,
        version=number,
        previous=urn_of(previous) if previous else "",
        backend=request.backend,
        publisher=rules.proof.organisation or request.backend,
        publisher_url=rules.proof.organisation_url,
        license=rules.proof.license,
        workspace=request.workspace,
        title=request.title,
        project=request.project,
        approval=project.approval if project else "",
        funder=project.funder if project else "",
        organisations=tuple(request.organisations),
        author=request.author_id,
        people=_people(usernames, request),
        files=tuple(
            CrateFile(path=file.path, sha256=file.sha256, size=file.size, job_id=file.job_id) for file in released
        ),
        jobs=jobs,
        reviews=reviews,
        records=tuple(_records(contents, released)),
        checkers=request.checkers,
        policy=hashlib.sha256(rules.model_dump_json().encode()).hexdigest(),
        permission="the job server" if settings.get().job_server_endpoint else "accounts of this machine",
        requested_at=_utc(request.created_at),
        approved_at=_utc(approval.at),
        approved_by=approval.actor,
        released_at=_utc(request.released_at or head.at),
        release_url=request.release_url,
        made_at=_utc(now),
        carrel_version=version("carrel"),
        head_number=head.number,
        head_hash=head.hash,
        head_at=_utc(head.at),
    )


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _people(usernames: Iterable[str], request: ReleaseRequest) -> dict[str, CratePerson]:
    """Return the people by username. The author's organisation is known where the project has one alone."""
    rows = Account.objects.in_bulk(sorted(usernames))
    alone = request.organisations[0] if len(request.organisations) == 1 else ""
    return {
        name: CratePerson(
            username=name,
            name=rows[name].fullname if name in rows else name,
            orcid=rows[name].orcid if name in rows else "",
            organisation=alone if name == request.author_id else "",
        )
        for name in sorted(usernames)
    }


def _jobs(request: ReleaseRequest, released: Iterable[RequestFile]) -> tuple[CrateJob, ...]:
    """Return the jobs that made the released files, each once; what their logs say only of that very job."""
    jobs: dict[str, CrateJob] = {}
    for file in released:
        if file.job_id in jobs:
            continue
        log = _log_end(request.workspace, file.action)
        said = summary_of(log)
        if file.job_id not in (said.get("job_definition_id"), said.get("job_definition_rap_id")):
            said = {}
        failed = said.get("exit_code", "0") != "0"
        jobs[file.job_id] = CrateJob(
            job_id=file.job_id,
            action=file.action,
            job_request=file.job_request,
            run_by=file.run_by,
            repo=file.repo,
            commit=file.commit,
            database_version=file.database_version or said.get("database_version", ""),
            database=said.get("database_name", ""),
            image=said.get("docker_image_id", ""),
            started_at=_moment(said.get("created_at", "")),
            ended_at=_moment(said.get("completed_at", "")),
            error=said.get("status_message", "") or "The job failed." if failed else "",
        )
    return tuple(jobs.values())


def _log_end(workspace: str, action: str) -> str:
    """Return the end of an action's log as level 4 has it; "" where there is none."""
    with suppress(OSError, ValueError):
        path = f"{METADATA_FOLDER}{action}.log"
        with os.fdopen(open_beneath(settings.get().workspaces / workspace, path), "rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - MAX_LOG_END_BYTES))
            return stream.read(MAX_LOG_END_BYTES).decode(errors="replace")
    return ""


def _moment(text: str) -> str:
    """Return a log's time in ISO 8601 to the second, "" for what is none; those of Docker have nanoseconds."""
    with suppress(ValueError):
        moment = datetime.fromisoformat(text.partition(".")[0].removesuffix("Z"))
        return _utc(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    return ""


def _reviews(
    contents: RequestContents, released: Iterable[RequestFile], events: list[AuditEvent]
) -> Iterable[CrateReview]:
    """Yield each review of each turn, by the audit; not those of turns that were returned early, which nobody sees."""
    hashes = {file.path: file.sha256 for file in released}
    groups = {file.group_id for file in released}
    files = {file.pk for file in released}
    early = {event.extra.get("turn_ended") for event in events if event.event_type == AuditType.REQUEST_EARLY_RETURN}
    for event in events:
        if event.event_type != AuditType.REQUEST_REVIEW or event.turn in early:
            continue
        votes = event.extra["votes"]
        comments = [
            comment.text
            for comment in contents.comments
            if comment.is_public and comment.author_id == event.actor and comment.turn == event.turn
            # What is said of files that were not released stays here.
            if (comment.file_id is None or comment.file_id in files)
            and (comment.group_id is None or comment.group_id in groups)
        ]
        yield CrateReview(
            checker=event.actor,
            turn=event.turn or 0,
            at=_utc(event.at),
            votes=tuple(
                CrateVote(path=path, vote=vote["vote"], is_released=vote["sha256"] == hashes[path])
                for path, vote in sorted(votes.items())
                if path in hashes
            ),
            others=len(votes.keys() - hashes.keys()),
            comments=tuple(comments),
        )


def _records(contents: RequestContents, released: Iterable[RequestFile]) -> Iterable[CrateRuleRecord]:
    """Yield what the rules said of each released file's bytes.

    A finding that compares with another request's file says so and no more: that file may never have been released.
    """
    for file in released:
        look = contents.checks.get(file.pk)
        if look is None or look.sha256 != file.sha256:
            yield CrateRuleRecord(
                path=file.path,
                checked_at=_utc(file.added_at),
                version="",
                configuration={},
                unchecked="The rules did not look at it.",
            )
            continue
        yield CrateRuleRecord(
            path=file.path,
            checked_at=_utc(look.checked_at),
            version=look.rules_version,
            configuration=look.configuration,
            unchecked=look.unchecked,
            findings=tuple(
                {
                    "rule": finding.rule,
                    "version": finding.rule_version,
                    "line": finding.line,
                    "column": finding.column,
                    "message": "A difference from another file." if finding.compared_with else finding.message,
                    "justification": finding.justification,
                    "justified_by": finding.justified_by_id or "",
                }
                for finding in contents.findings.get(file.pk, ())
            ),
        )


def _lineage(request: ReleaseRequest, released: Iterable[RequestFile]) -> tuple[str, int]:
    """Return the release before that had one of the same files, "" for a first one, and which version this one is."""
    earlier = (
        RequestFile.objects.filter(
            path__in=[file.path for file in released],
            file_type=FileType.OUTPUT,
            request__workspace=request.workspace,
            request__backend=request.backend,
            request__status=ReviewStatus.RELEASED,
            request__released_at__lt=request.released_at,
        )
        .order_by("request__released_at", "request_id")
        .values_list("request_id", flat=True)
    )
    releases = list(dict.fromkeys(earlier))
    return (releases[-1] if releases else ""), len(releases) + 1

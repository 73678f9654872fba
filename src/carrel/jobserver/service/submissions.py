"""Asking for a run: everything is checked again, and a run with its requests is stored in one transaction.

Nothing is sent here: a request without `sent_at` is in the outbox of the link, which takes it from there.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils import timezone

from carrel.jobs.checks import check_codelists
from carrel.jobs.plan import Plan, PlanError, Reuse, plan
from carrel.jobserver import settings, studies
from carrel.jobserver.models import Backend, JobRequest, ProjectDefinition, RunGroup, Schedule, User, Workspace
from carrel.jobserver.queries.latest import countable_states, latest_states
from carrel.jobserver.queries.refusals import refusals_of
from carrel.jobserver.rights.persons import rights_of
from carrel.jobserver.rights.visibility import visible_backends
from carrel.jobserver.service.audit import Actor, record
from carrel.jobserver.studies import StudyCode
from carrel.jobserver.waking import wake
from carrel.project import Pipeline, ProjectValidationError

MAX_KEY = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What somebody asks for: a commit of a workspace, and on each backend (by slug) some actions, or `run_all`.

    `force`: slugs of the backends where what the actions need runs again though it succeeded. `notify`: empty means as
    the workspace says. `submission_key`: the same key makes one run, however often it is submitted.
    """

    workspace: Workspace
    person: User
    commit: str
    actions: Mapping[str, tuple[str, ...]]
    force: frozenset[str] = frozenset()
    notify: str = ""
    submission_key: str
    schedule: Schedule | None = None
    has_second_factor: bool = False
    """The person signed in with one: some backends ask for it."""


class SubmissionError(Exception):
    """The run cannot be asked for. `problems`: a sentence by backend, and under "" what concerns all of them."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__("\n".join(problems.values()))


@dataclass(frozen=True, slots=True)
class _Part:
    """What is asked of one backend, checked and planned."""

    backend: Backend
    actions: tuple[str, ...]
    plan: Plan


def submit(submission: Submission, actor: Actor | None = None) -> RunGroup:
    """Store a run and its requests, and return it; submitted twice, it is the same run.

    `actor` is who the audit log names, with their address: the person where nobody else is given. Raises
    SubmissionError, studies.StudyUnavailable. May read git, for seconds at most: call it outside of transactions.
    """
    if existing := _submitted_before(submission):
        return existing
    code, parts = _checked(submission)
    try:
        with transaction.atomic():
            run = _store(submission, code, parts)
            record(
                actor or submission.person,
                "run.submitted",
                subject_type="run",
                subject=run.pk,
                project=submission.workspace.project,
                new={
                    "workspace": submission.workspace.name,
                    "commit": submission.commit,
                    "actions": {part.backend.slug: list(part.actions) for part in parts},
                    "force": sorted(submission.force),
                },
            )
            transaction.on_commit(wake)
    except IntegrityError:
        # Pressed twice within a moment: the other one was quicker.
        if existing := _submitted_before(submission):
            return existing
        raise
    return run


def _submitted_before(submission: Submission) -> RunGroup | None:
    run = RunGroup.objects.filter(submission_key=submission.submission_key).first()
    if run is not None and (run.workspace_id, run.created_by_id) != (submission.workspace.pk, submission.person.pk):
        raise SubmissionError({"": "This form was used for another run already: open the run page again."})
    return run


def _checked(submission: Submission) -> tuple[StudyCode, list[_Part]]:
    """Read the study, and plan each backend's part; raises SubmissionError with all that is wrong."""
    asked = {slug: actions for slug, actions in submission.actions.items() if actions}
    if not asked:
        raise SubmissionError({"": "Tick at least one action."})
    if not 0 < len(submission.submission_key) <= MAX_KEY:
        raise SubmissionError({"": f"submission_key must have 1 to {MAX_KEY} characters."})
    workspace, person = submission.workspace, submission.person
    rights = rights_of(person)
    backends = list(visible_backends(person, rights).filter(slug__in=asked))
    known = {backend.slug for backend in backends}
    problems = {slug: f"There is no backend {slug}, or you may not see it." for slug in asked if slug not in known}
    refusals = refusals_of(workspace, person, rights, backends, has_second_factor=submission.has_second_factor)
    problems |= {slug: refusal.reason for slug, refusal in refusals.items()}
    if problems:
        raise SubmissionError(problems)
    try:
        studies.check_on_branch(workspace, submission.commit)
        code = studies.study_at(workspace, submission.commit)
        names = studies.backend_names(workspace, backends)
        studies.pipeline_of(code, names, settings.get().default_backend)
    except (studies.StudyError, ProjectValidationError) as error:
        raise SubmissionError({"": str(error)}) from error
    parts: list[_Part] = []
    for backend in backends:
        try:
            pipeline = studies.pipeline_on(code, names, settings.get().default_backend, backend.slug)
            parts.append(_planned(submission, code, backend, pipeline))
        except (ProjectValidationError, PlanError) as error:
            problems[backend.slug] = f"{backend.name}: {error}"
    if problems:
        raise SubmissionError(problems)
    return code, parts


def _planned(submission: Submission, code: StudyCode, backend: Backend, pipeline: Pipeline) -> _Part:
    """Plan one backend's part as its controller will; raises PlanError."""
    actions = tuple(dict.fromkeys(submission.actions[backend.slug]))
    states = latest_states(submission.workspace, [backend], pipeline.actions)
    latest = countable_states(submission.workspace, [backend], states)[backend.slug]
    planned = plan(actions, pipeline, latest, backend.slug in submission.force)
    check_codelists(planned, code.codelists_ok)
    return _Part(backend, actions, planned)


def _store(submission: Submission, code: StudyCode, parts: list[_Part]) -> RunGroup:
    workspace, person, now = submission.workspace, submission.person, timezone.now()
    text = code.definition.decode(errors="replace")
    definition, _ = ProjectDefinition.objects.get_or_create(
        digest=hashlib.sha256(text.encode()).hexdigest(), defaults={"text": text}
    )
    run = RunGroup.objects.create(
        workspace=workspace,
        commit=submission.commit,
        commit_subject=code.subject[:200],
        branch=workspace.branch,
        definition=definition,
        codelists_ok=code.codelists_ok,
        database_name=workspace.database_name,
        notify=submission.notify or workspace.notify,
        schedule=submission.schedule,
        submission_key=submission.submission_key,
        created_at=now,
        created_by=person,
    )
    JobRequest.objects.bulk_create(
        JobRequest(
            run=run,
            backend=part.backend,
            workspace=workspace,
            requested_actions=list(part.actions),
            force_run_dependencies=part.backend.slug in submission.force,
            reused={entry.action: entry.job.id for entry in part.plan.entries if isinstance(entry, Reuse)},
            created_at=now,
            updated_at=now,
            created_by=person,
        )
        for part in parts
    )
    return run

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
from carrel.jobserver import studies
from carrel.jobserver.models import Backend, JobRequest, ProjectDefinition, RunGroup, Schedule, User, Workspace
from carrel.jobserver.queries.refusals import refusals_of
from carrel.jobserver.rights.persons import rights_of
from carrel.jobserver.rights.visibility import visible_backends
from carrel.jobserver.run_options import RunChoices, run_options
from carrel.jobserver.runs.matrix import BackendColumn, refusal_of_cell
from carrel.jobserver.service.audit import Actor, record
from carrel.jobserver.studies import StudyCode
from carrel.jobserver.waking import wake
from carrel.project import ProjectValidationError

MAX_KEY = 64
SCHEDULE_KEY = "schedule-"
"""Begins the keys of scheduled runs, which can be told beforehand: no other submission may take one."""


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
    options, parts = _checked(submission)
    try:
        with transaction.atomic():
            run = _store(submission, options.code, parts)
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


def plan_submission(submission: Submission) -> dict[str, Plan]:
    """Return by backend what would happen if this was submitted; raises what `submit` raises, and stores nothing."""
    _, parts = _checked(submission)
    return {part.backend.slug: part.plan for part in parts}


def _submitted_before(submission: Submission) -> RunGroup | None:
    key = submission.submission_key
    if not 0 < len(key) <= MAX_KEY or not key.isprintable():
        raise SubmissionError({"": f"submission_key must have 1 to {MAX_KEY} characters that can be printed."})
    if key.startswith(SCHEDULE_KEY) and submission.schedule is None:
        raise SubmissionError({"": f"submission_key: those that begin with {SCHEDULE_KEY} are of scheduled runs."})
    run = RunGroup.objects.filter(submission_key=key).first()
    if run is not None and (run.workspace_id, run.created_by_id) != (submission.workspace.pk, submission.person.pk):
        raise SubmissionError({"": "This form was used for another run already: open the run page again."})
    return run


def _checked(submission: Submission) -> tuple[RunChoices, list[_Part]]:
    """Read the study, and plan each backend's part as its controller will; raises SubmissionError with all problems."""
    asked = {slug: tuple(dict.fromkeys(actions)) for slug, actions in submission.actions.items() if actions}
    if not asked:
        raise SubmissionError({"": "Tick at least one action."})
    workspace, person = submission.workspace, submission.person
    rights = rights_of(person)
    backends = list(visible_backends(person, rights).filter(slug__in=asked))
    has_second_factor = submission.has_second_factor
    # Before anything is read from git: whoever may not run there has nothing to wait for.
    if refusals := refusals_of(workspace, person, rights, backends, has_second_factor=has_second_factor):
        raise SubmissionError({slug: f"{slug}: {refusal.reason}" for slug, refusal in refusals.items()})
    try:
        studies.check_on_branch(workspace, submission.commit)
        options = run_options(workspace, submission.commit, person, rights, has_second_factor=has_second_factor)
    except (studies.StudyFault, ProjectValidationError) as error:
        raise SubmissionError({"": str(error)}) from error
    parts: list[_Part] = []
    columns = {column.slug: column for column in options.columns}
    problems = {
        slug: f"This project does not run on {slug}, or you may not see it." for slug in asked if slug not in columns
    }
    for backend in options.backends:
        if actions := asked.get(backend.slug):
            try:
                parts.append(_part(submission, options, backend, columns[backend.slug], actions))
            except (PlanError, _Refused) as error:
                problems[backend.slug] = f"{backend.name}: {error}"
    if problems:
        raise SubmissionError(problems)
    return options, parts


class _Refused(Exception):
    """An action cannot be asked for on this backend."""


def _part(
    submission: Submission, options: RunChoices, backend: Backend, column: BackendColumn, actions: tuple[str, ...]
) -> _Part:
    """Check and plan one backend's part; raises PlanError, _Refused."""
    if column.refusal or column.pipeline is None:
        raise _Refused(column.refusal.reason if column.refusal else "the study does not run there.")
    elsewhere = [name for name in actions if name in options.pipeline.actions and name not in column.pipeline.actions]
    if elsewhere:
        runs_on = tuple(row.name for row in options.columns if row.pipeline and elsewhere[0] in row.pipeline.actions)
        refusal = refusal_of_cell(column, elsewhere[0], runs_on=runs_on)
        raise _Refused(refusal.reason if refusal else "")
    planned = plan(actions, column.pipeline, options.latest[backend.slug], backend.slug in submission.force)
    # Not only what is asked for by name: `run_all` must not start what its data, or that of a need, forbids.
    for run in planned.runs:
        if refusal := refusal_of_cell(column, run.action, options.checks.get((backend.slug, run.action))):
            raise _Refused(f"{run.action} cannot run. {refusal.reason}")
    check_codelists(planned, options.code.codelists_ok)
    return _Part(backend, actions, planned)


def _stored_text(content: bytes | None) -> ProjectDefinition | None:
    if content is None:
        return None
    text = content.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    digest = hashlib.sha256(text.encode()).hexdigest()
    return ProjectDefinition.objects.get_or_create(digest=digest, defaults={"text": text})[0]


def _store(submission: Submission, code: StudyCode, parts: list[_Part]) -> RunGroup:
    workspace, person, now = submission.workspace, submission.person, timezone.now()
    definition, side_file = (_stored_text(content) for content in (code.definition, code.side_file))
    run = RunGroup.objects.create(
        workspace=workspace,
        commit=submission.commit,
        commit_subject=code.subject[:200],
        branch=workspace.branch,
        definition=definition,
        side_file=side_file,
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

"""What a person can run of a workspace at one commit: read from git and the database once, for page and preview."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from django.db.models import Q
from django.utils import timezone

from carrel.catalogue.runnable import DataCheck
from carrel.jobs.models import LatestJob
from carrel.jobserver import settings, studies
from carrel.jobserver.models import Backend, JobRequest, Workspace
from carrel.jobserver.models import User as Person
from carrel.jobserver.queries.latest import countable_states, latest_states, usual_seconds
from carrel.jobserver.queries.refusals import refusals_of
from carrel.jobserver.rights.grants import Rights
from carrel.jobserver.rights.running import RunRefusal
from carrel.jobserver.rights.visibility import visible_backends
from carrel.jobserver.runs.changes import SinceChange, changes_of
from carrel.jobserver.runs.matrix import BackendColumn, MatrixRow, matrix
from carrel.jobserver.runs.preview import Preview, Wish, plans_of, preview
from carrel.jobserver.runs.states import ActionState, Cell
from carrel.jobserver.studies import StudyCode, StudyFault, StudyUnavailable
from carrel.jobserver.study_data import data_of
from carrel.project import Pipeline, ProjectValidationError
from carrel.repos import LoggedCommit, commits_between

COMMITS_COMPARED = 20
"""Earlier commits whose code one page compares with that which would run: the latest ones."""


@dataclass(frozen=True, kw_only=True)
class RunChoices:
    """One workspace at one commit as somebody sees it: the study on each backend, and how its actions stand there."""

    workspace: Workspace
    code: StudyCode
    pipeline: Pipeline
    backends: tuple[Backend, ...]
    columns: tuple[BackendColumn, ...]
    states: Mapping[Cell, ActionState] = field(default_factory=dict)
    checks: Mapping[Cell, DataCheck] = field(default_factory=dict)
    tables: Mapping[Cell, Mapping[str, str]] = field(default_factory=dict)
    """When each table that an action reads last changed."""

    @cached_property
    def pipelines(self) -> dict[str, Pipeline]:
        """By backend, where the study runs there."""
        return {column.slug: column.pipeline for column in self.columns if column.pipeline is not None}

    @cached_property
    def latest(self) -> dict[str, dict[str, LatestJob]]:
        """What planning looks at."""
        return countable_states(self.workspace, self.backends, self.states)

    def rows(self, actions: Collection[str]) -> tuple[MatrixRow, ...]:
        """Return the rows of these actions: a study may have hundreds, of which a page shows some."""
        changes = self.changes(actions)
        return matrix(self.pipeline, self.columns, self.states, actions, checks=self.checks, changes=changes)

    def changes(self, actions: Collection[str]) -> dict[Cell, SinceChange]:
        """What changed since each of these actions succeeded."""
        names = set(actions)
        states = {cell: state for cell, state in self.states.items() if state.action in names}
        succeeded = sorted(
            (state for state in states.values() if state.status == "succeeded"),
            key=lambda state: state.created_at,
            reverse=True,
        )
        commits = list(dict.fromkeys(state.commit for state in succeeded))[:COMMITS_COMPARED]
        paths = studies.changed_paths(self.workspace, commits, self.code.commit)
        return changes_of(self.pipelines, states, changed_paths=paths, changed_tables=self.tables)

    def preview(self, wishes: Mapping[str, Wish]) -> Preview:
        """What will happen if this is run."""
        plans = plans_of(self.columns, wishes, self.latest)
        runs = [
            (slug, run.action)
            for slug, planned in plans.items()
            if not isinstance(planned, Exception)
            for run in planned.runs
        ]
        return preview(
            self.columns,
            plans,
            today=timezone.localdate(),
            seconds=usual_seconds(self.workspace, self.backends, runs),
            commits_ago=self.commits_ago,
            codelists_ok=self.code.codelists_ok,
        )

    @cached_property
    def _history(self) -> Sequence[LoggedCommit]:
        try:
            return studies.history(self.workspace, self.code.commit)
        except (StudyFault, StudyUnavailable):
            return ()

    def commits_ago(self, commit: str) -> int | None:
        """How many commits the code of now has that this one has not; None where that cannot be told."""
        return commits_between(self._history, commit, self.code.commit)


def shown_backends(
    workspace: Workspace, person: Person | None, rights: Rights, named: Collection[str] = ()
) -> list[Backend]:
    """Return the backends of a workspace's pages, in their order, of those that this person may know of.

    They are those that the project is opted in to, those that it has run on, and those that its study names.
    """
    used = JobRequest.objects.filter(workspace=workspace).order_by().values("backend").distinct()
    belongs = Q(pk__in=workspace.project.opt_ins.values("backend")) | Q(pk__in=used) | Q(slug__in=named)
    return list(visible_backends(person, rights).filter(belongs))


def run_options(
    workspace: Workspace,
    commit: str,
    person: Person | None,
    rights: Rights,
    *,
    has_second_factor: bool = False,
    is_to_run: bool = True,
) -> RunChoices:
    """Put together what this person can run; raises StudyFault, StudyUnavailable, ProjectValidationError.

    Without `is_to_run` somebody only looks at how actions stand: whether they may run any of them is not asked.
    """
    code = studies.study_at(workspace, commit)
    names = studies.backend_names(workspace, visible_backends(person, rights).filter(is_active=True))
    default = settings.get().default_backend
    pipeline = studies.pipeline_of(code, names, default)
    backends = [
        backend for backend in shown_backends(workspace, person, rights, pipeline.where.only or ()) if backend.is_active
    ]
    refusals: dict[str, RunRefusal] = {}
    if is_to_run and person is not None:
        refusals = refusals_of(workspace, person, rights, backends, has_second_factor=has_second_factor)
    columns = tuple(_column(code, names, default, backend, refusals.get(backend.slug)) for backend in backends)
    pipelines = {column.slug: column.pipeline for column in columns if column.pipeline is not None}
    checks, tables = data_of(workspace, code, pipelines, backends)
    return RunChoices(
        workspace=workspace,
        code=code,
        pipeline=pipeline,
        backends=tuple(backends),
        columns=columns,
        states=latest_states(workspace, backends, pipeline.all_actions),
        checks=checks,
        tables=tables,
    )


def _column(
    code: StudyCode, names: tuple[str, ...], default: str, backend: Backend, refusal: RunRefusal | None
) -> BackendColumn:
    """Return a backend's column; where the study does not run there, that is the refusal, whoever asks."""
    try:
        pipeline = studies.pipeline_on(code, names, default, backend.slug)
    except ProjectValidationError as error:
        reason = str(error.problems[0]) if error.problems else str(error).rpartition("\n")[2]
        short = "not valid there" if error.problems else f"not on {backend.name}"
        return BackendColumn(
            slug=backend.slug, name=backend.name, pipeline=None, refusal=RunRefusal(short, f"{reason}.")
        )
    starts_later = "resumed" if backend.is_paused else ""
    return BackendColumn(
        slug=backend.slug, name=backend.name, pipeline=pipeline, refusal=refusal, starts_later=starts_later
    )

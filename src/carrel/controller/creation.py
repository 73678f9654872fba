"""From a request to its jobs: checked, read from git, planned, resolved, created (controller.md sections 2.2, 3.3).

Everything that may be slow (git, the image registry) happens outside any transaction. Planning is done twice: once to
know what has to be looked up, and again under the backend's lock, where the jobs it decides on are created: two
requests for the same actions at the same moment then see each other.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from carrel.controller import images, service, settings
from carrel.controller.models import Rap, RapOutcome
from carrel.controller.reusable import ActionResolver, Resolved, ReusableActionError
from carrel.controller.service import NewJob, RapFields
from carrel.jobs.checks import check_codelists, check_weights
from carrel.jobs.identifiers import job_id
from carrel.jobs.plan import NothingToDo, Plan, PlanError, Run, plan
from carrel.jobs.weights import Weights, WeightsError, parse_weights
from carrel.messages.rap import CreateResult, RapCreateRequest, RapCreateResponse
from carrel.project import Pipeline, ProjectValidationError, YAMLError, load_pipeline
from carrel.repos import Deadline, FileNotInRepo, GitError, Mirrors, RepoInfrastructureError, RepoSettings
from carrel.units.settings import CommaList, EnvironmentSettings, read_settings

PROJECT_FILE = "project.yaml"
SIDE_FILE = "backends.yaml"
MAX_NAME = 255
"""Longest name of a workspace or an action: they become names of files."""
PLANS_AT_MOST = 5

_WORKSPACE = re.compile(r"[A-Za-z0-9_-]+")


class CreationSettings(EnvironmentSettings):
    """Settings of this module alone, from the environment."""

    actions_github_org_url: str = "https://github.com/opensafely-actions"
    event_level_data_projects: CommaList = []
    """Comma-separated slugs of projects whose database jobs get the `event_level_data` component."""


class CreationError(Exception):
    """The request was refused; the text is the contract's message (2.2), for the user."""


class CreationUnavailable(Exception):
    """Something that is not the request's fault is away: the git host, the registry. Nothing is recorded."""


class _NothingToDo(Exception):
    def __init__(self, reason: NothingToDo) -> None:
        super().__init__(reason)
        self.reason = reason


class _PlanAgain(Exception):
    """Between the two plans something ended or began, and a job is needed that was not looked up."""


@dataclass(frozen=True, slots=True)
class _Study:
    """A request with its pipeline, projected on the backend."""

    rap: RapFields
    pipeline: Pipeline
    resolved: dict[str, Resolved] = field(default_factory=dict)
    """By action, the commands that were looked up so far."""

    def plan(self) -> Plan:
        latest = service.latest_jobs(self.rap.backend, self.rap.workspace, self.pipeline.actions)
        return plan(self.rap.requested_actions, self.pipeline, latest, self.rap.force_run_dependencies)


def create(request: RapCreateRequest) -> RapCreateResponse:
    """Create the jobs of a request, or say why there are none; asked again, it answers the same.

    Raises CreationError (refused, recorded as the request's outcome), service.InconsistentRap, and CreationUnavailable
    where it may be sent again as it is. Other exceptions are faults of ours. Call outside any transaction.
    """
    values = request.model_dump(exclude={"rap_id", "analysis_scope"})
    values |= {name: tuple(values[name]) for name in ("requested_actions", "orgs")}
    scope = request.analysis_scope.model_dump() if request.analysis_scope else None
    fields = RapFields(id=request.rap_id, analysis_scope=scope, **values)
    _check_storable(fields)
    rap, _ = service.open_rap(fields)
    if rap.outcome == RapOutcome.CREATED:
        return _no_change(rap.id)
    try:
        _check(fields)
        source = mirrors()
        deadline = source.deadline()
        actions_url = read_settings(CreationSettings).actions_github_org_url
        return _create(_read_study(fields, source, deadline), ActionResolver(source, actions_url, deadline))
    except _NothingToDo as nothing:
        if _outcome_is(rap.id, RapOutcome.NOTHING_TO_DO, nothing.reason):
            return _response(CreateResult.NOTHING_TO_DO, str(nothing.reason), rap.id, 0)
    except _REFUSALS as error:
        message = error.contract_message if isinstance(error, PlanError) else str(error)
        if _outcome_is(rap.id, RapOutcome.ERROR, message):
            raise CreationError(message) from error
    except _OUTAGES as error:
        if Rap.objects.get(pk=rap.id).outcome != RapOutcome.CREATED:  # or another worker was luckier
            raise CreationUnavailable(str(error)) from error
    return _no_change(rap.id)


def _outcome_is(rap_id: str, outcome: Any, details: str) -> bool:
    """Record what became of the request; False when another worker has created its jobs meanwhile, and that holds."""
    return bool(service.record_rap_outcome(rap_id, outcome, details).outcome != RapOutcome.CREATED)


_REFUSALS = (
    CreationError,
    GitError,
    ProjectValidationError,
    YAMLError,
    PlanError,
    ReusableActionError,
    images.ImageUnknown,
)
_OUTAGES = (CreationUnavailable, RepoInfrastructureError, images.DigestUnavailable)


def known_backends() -> list[str]:
    """Slugs of all backends of this installation."""
    return list(settings.get().backends)


# -- checks


def _check_storable(fields: RapFields) -> None:
    """What must hold before the request can have a row at all."""
    backends = known_backends()
    if fields.backend not in backends:
        raise CreationError(f"Invalid backend '{fields.backend}', allowed are: {', '.join(sorted(backends))}")
    if len(fields.workspace) > MAX_NAME:
        raise CreationError(f"Invalid workspace name (longer than {MAX_NAME} characters)")


def _check(fields: RapFields) -> None:
    allowed = settings.get().valid_database_names
    if not fields.workspace:
        raise CreationError("Workspace name cannot be blank")
    if not _WORKSPACE.fullmatch(fields.workspace):
        raise CreationError("Invalid workspace name (allowed are alphanumeric, dash and underscore)")
    if fields.database_name not in allowed:
        raise CreationError(f"Invalid database name '{fields.database_name}', allowed are: {', '.join(allowed)}")


# -- reading


def mirrors() -> Mirrors:
    """The controller's mirrors of study repositories, in WORKDIR/repos."""
    return Mirrors(settings.get().workdir / "repos", read_settings(RepoSettings).policy("ctrl"))


def _read_study(fields: RapFields, source: Mirrors, deadline: Deadline) -> _Study:
    """Check the repository, branch and commit, and read the pipeline there. Slow: git."""
    source.check_commit_on_branch(fields.repo_url, fields.commit, fields.branch, deadline)
    read = partial(source.read_file, fields.repo_url, fields.commit, deadline=deadline)
    pipeline = load_pipeline(
        read(PROJECT_FILE),
        PROJECT_FILE,
        side_file=_if_there(read, SIDE_FILE),
        known_backends=known_backends(),
    )
    return _Study(fields, pipeline.for_backend(fields.backend))


def _if_there(read: Any, path: str) -> bytes | None:
    try:
        content: bytes = read(path)
    except FileNotInRepo:
        return None
    return content


# -- planning and creating


def _create(study: _Study, resolver: ActionResolver) -> RapCreateResponse:
    for _ in range(PLANS_AT_MOST):
        _look_up(study, _checked_plan(study).runs, resolver)
        try:
            jobs, created = service.create_jobs(study.rap.id, partial(_plan_under_lock, study))
        except _PlanAgain:
            continue
        if not created:
            return _no_change(study.rap.id)
        details = f"Jobs created for rap_id '{study.rap.id}'"
        return _response(CreateResult.SUCCESS, details, study.rap.id, len(jobs))
    raise CreationUnavailable("Other requests for this workspace keep changing what is to be run: please try again")


def _checked_plan(study: _Study) -> Plan:
    planned = study.plan()
    if planned.nothing_to_do:
        raise _NothingToDo(planned.nothing_to_do)
    return planned


def _look_up(study: _Study, runs: tuple[Run, ...], resolver: ActionResolver) -> None:
    """Resolve the commands of the new jobs and learn their images' digests. Slow: git and the registry."""
    for run in runs:
        if run.action not in study.resolved:
            action = study.pipeline.actions[run.action]
            if len(run.action) > MAX_NAME:
                shown = f"{run.action[:40]}..."
                raise CreationError(f"Action name '{shown}' is longer than {MAX_NAME} characters")
            study.resolved[run.action] = resolver.resolve(run.action, action.run_command)
    needed = {shlex.split(study.resolved[run.action].run_command)[0] for run in runs}
    images.make_known(study.rap.backend, needed)


def _plan_under_lock(study: _Study) -> list[NewJob]:
    """The jobs to create, as they are now that nobody else can change the workspace's."""
    planned = _checked_plan(study)
    if any(run.action not in study.resolved for run in planned.runs):
        raise _PlanAgain
    check_codelists(planned, study.rap.codelists_ok)
    weights = _weights_of(study, planned)
    check_weights(planned, weights, settings.get().capacity(study.rap.backend))
    ids = {run.action: job_id(study.rap.id, run.action) for run in planned.runs}
    return [_new_job(study, run, ids, weights[run.action]) for run in planned.runs]


def _new_job(study: _Study, run: Run, ids: Mapping[str, str], weight: float) -> NewJob:
    action = study.pipeline.actions[run.action]
    resolved, resources = study.resolved[run.action], action.resources
    return NewJob(
        action=run.action,
        run_command=resolved.run_command,
        needs=tuple(dict.fromkeys(action.needs)),
        wait_for_job_ids=(*run.wait_for_jobs, *(ids[other] for other in run.wait_for_new)),
        input_job_ids={**dict(run.reads), **{other: ids[other] for other in run.wait_for_new}},
        output_spec=action.outputs.flat(),
        requires_db=run.requires_db,
        repo_url=resolved.repo_url,
        commit=resolved.commit,
        reusable_action=resolved.reusable_action,
        analysis_scope=_scope(study.rap) if run.requires_db else None,
        weight=weight,
        cpu_count=resources.cpus,
        memory_limit=resources.memory_text or (None if resources.memory is None else str(resources.memory)),
        timeout_seconds=resources.timeout,
    )


def _scope(rap: RapFields) -> dict[str, list[str]]:
    """The analysis scope of a database job: what was given, sorted, and what the project may use besides."""
    scope = {name: sorted(set((rap.analysis_scope or {}).get(name) or ())) for name in _SCOPE_KEYS}
    if rap.project in read_settings(CreationSettings).event_level_data_projects:
        scope["component_access"] = ["event_level_data"]
    return {name: values for name, values in scope.items() if values}


_SCOPE_KEYS = ("dataset_permissions", "population_permissions", "component_access")


def _weights_of(study: _Study, planned: Plan) -> dict[str, float]:
    weights = _weights(study.rap.backend)
    return {
        run.action: weights.weight_of(study.rap.workspace, run.action, study.resolved[run.action].run_command)
        for run in planned.runs
    }


def _weights(backend: str) -> Weights:
    """The backend's job-resource-weights file; a file that cannot be used is a fault of ours, not the study's."""
    path = settings.get().workdir / f"job-resource-weights_{backend}.ini"
    try:
        return parse_weights(path.read_text(), path.name) if path.exists() else parse_weights("")
    except (OSError, UnicodeError, WeightsError) as error:
        raise CreationUnavailable(f"The weights file of backend '{backend}' cannot be used: {error}") from error


# -- answers


def _no_change(rap_id: str) -> RapCreateResponse:
    count = len(service.rap_jobs(rap_id))
    return _response(CreateResult.NO_CHANGE, f"Jobs already created for rap_id '{rap_id}'", rap_id, count)


def _response(result: CreateResult, details: str, rap_id: str, count: int) -> RapCreateResponse:
    return RapCreateResponse(result=result, details=details, rap_id=rap_id, count=count)

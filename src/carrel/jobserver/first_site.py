"""A new site: what five answers make, and its first run, which shows that all parts speak to one another."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.text import slugify

from carrel.clients.rap import RapClient, RapError
from carrel.jobserver import link_process, settings, studies
from carrel.jobserver.models import Backend, Project, RunGroup, User, Workspace
from carrel.jobserver.models.runs import ACTIVE_STATUSES, RequestStatus
from carrel.jobserver.repositories import check_branch
from carrel.jobserver.service import accounts, setup
from carrel.jobserver.service.audit import Actor
from carrel.jobserver.service.submissions import Submission, submit
from carrel.repos import RepoSettings
from carrel.repos.snapshot import commit_folder
from carrel.units.settings import read_settings

STUDY = Path(__file__).parent / "first_study"
LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a new site is told. `repo`: a URL or a path; empty for the study that comes with Carrel."""

    username: str
    fullname: str
    password: str | None
    backend: str
    is_dummy: bool
    project: str
    repo: str = ""
    branch: str = "main"
    organisation: str = ""


@dataclass(frozen=True, slots=True)
class FirstSite:
    """What was made, or was there already."""

    person: User
    backend: Backend
    project: Project
    workspace: Workspace


def problem_of(make: Callable[[], object]) -> str:
    """Say why this cannot be made, having made nothing; empty when it can."""
    try:
        with transaction.atomic():
            make()
            transaction.set_rollback(True)
    except setup.SetupError as error:
        return str(error)
    except ValidationError as error:
        return " ".join(error.messages)
    return ""


def repository_problem(repo: str, branch: str) -> str:
    """Say why a study cannot be read there, and which setting would allow it; empty when it can."""
    problem = problem_of(lambda: check_branch(repo, branch))
    if problem and repo.startswith("/") and not read_settings(RepoSettings).allow_local_git_repos:
        return f"{repo} is a path: set ALLOW_LOCAL_GIT_REPOS=true, here and for the controller, on one machine."
    return problem


def backends_of_controller(controller: str) -> list[str]:
    """Ask the controller for the backends that this site's token may use. Raises RapError."""
    link = settings.get().links[controller]
    with RapClient(link.rap_api_base_url, link.token) as client:
        return [backend.slug for backend in client.backends().backends]


def link_problem(backend: Backend) -> str:
    """Say why the backend's controller would not take its runs; empty when it would."""
    try:
        slugs = backends_of_controller(backend.controller)
    except RapError as error:
        return f"{error} Its address and token are RAP_API_BASE_URL and RAP_API_TOKEN."
    if backend.slug in slugs:
        return ""
    allowed = f"it has {', '.join(slugs)}" if slugs else "this site's token is for none of its backends"
    return f"The controller has no backend {backend.slug} for this site: {allowed}."


def lay_out(answers: Answers, actor: Actor) -> FirstSite:
    """Make what is missing of the site that the answers describe. Raises SetupError."""
    person = setup.ensure_person(
        answers.username,
        actor=actor,
        fullname=answers.fullname,
        password=answers.password,
        roles=setup.STAFF_ROLES,
    )
    backend = setup.ensure_backend(answers.backend, actor=actor, is_dummy=answers.is_dummy, members=[person])
    organisation = None
    if answers.organisation:
        organisation = setup.ensure_organisation(answers.organisation, actor=actor, members=[person])
    project = ensure_first_project(
        answers.project,
        actor=actor,
        organisation=organisation,
        backends=[backend],
        members={person: setup.PROJECT_ROLES},
    )
    if answers.password is not None and not person.has_usable_password():
        accounts.set_password(person, answers.password, actor)
    repo = answers.repo or commit_first_study()
    workspace = setup.ensure_workspace(project, project.slug, actor=actor, repo_url=repo, branch=answers.branch)
    return FirstSite(person, backend, project, workspace)


def ensure_first_project(name: str, *, actor: Actor, **about: Any) -> Project:
    """Return the project of this name, at an address made of it. Raises SetupError."""
    return setup.ensure_project(slugify(name) or "first-project", actor=actor, name=name, **about)


def commit_first_study() -> str:
    """Commit the study that comes with Carrel to a repository of this site, and return its path."""
    repo = settings.get().workdir.absolute() / "studies" / "first-study"
    commit_folder(STUDY, repo, message="The first study")
    return str(repo)


def start_run(site: FirstSite) -> RunGroup:
    """Ask for all actions of the workspace on the backend, unless a run that this person asked for goes on there.

    Raises SubmissionError, StudyFault, StudyUnavailable.
    """
    active = site.workspace.runs.filter(
        created_by=site.person, requests__backend=site.backend, requests__status__in=ACTIVE_STATUSES
    ).first()
    if active is not None:
        return active
    head = studies.branch_head(site.workspace)
    if not head.commit:
        raise studies.StudyUnavailable(head.problem)
    return submit(
        Submission(
            workspace=site.workspace,
            person=site.person,
            commit=head.commit,
            actions={site.backend.slug: ("run_all",)},
            submission_key=secrets.token_urlsafe(24),
            has_second_factor=True,
        ),
        site.person,
    )


def watch(run: RunGroup, backend: Backend, seconds: float) -> Iterator[str]:
    """Send the run and ask for news of it, and yield each change in words; ends with the run, or after so long."""
    stop = threading.Event()
    link = threading.Thread(target=link_process.run, args=(stop,), daemon=True)
    link.start()
    last_words, ends_at = "", time.monotonic() + seconds
    try:
        while True:
            request = run.requests.get(backend=backend)
            words = f"{request.get_status_display()} {request.status_message or request.send_error}".strip()
            if words != last_words:
                last_words = words
                yield words
            if request.status not in ACTIVE_STATUSES or time.monotonic() > ends_at:
                return
            stop.wait(LOOK_SECONDS)
    finally:
        stop.set()
        link.join()


def is_active(run: RunGroup) -> bool:
    """Tell whether some of the run has not ended yet."""
    return run.requests.filter(status__in=ACTIVE_STATUSES).exists()


def succeeded(run: RunGroup) -> bool:
    """Tell whether every part of the run ended well; that there was nothing left to do is well."""
    good = (RequestStatus.SUCCEEDED, RequestStatus.NOTHING_TO_DO)
    return not run.requests.exclude(status__in=good).exists()

"""A new site: what five answers make, and its first run, which shows that all parts speak to one another."""

import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.utils.text import slugify

from carrel.jobserver import link_process, settings, studies
from carrel.jobserver.models import Backend, Project, RunGroup, User, Workspace
from carrel.jobserver.models.runs import ACTIVE_STATUSES, RequestStatus
from carrel.jobserver.service import setup
from carrel.jobserver.service.audit import Actor
from carrel.jobserver.service.submissions import Submission, submit
from carrel.repos.snapshot import commit_folder

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
    slug = slugify(answers.project) or "first-project"
    project = setup.ensure_project(
        slug,
        actor=actor,
        name=answers.project,
        organisation=organisation,
        backends=[backend],
        members={person: setup.PROJECT_ROLES},
    )
    repo = answers.repo or commit_first_study()
    workspace = setup.ensure_workspace(project, slug, actor=actor, repo_url=repo, branch=answers.branch)
    return FirstSite(person, backend, project, workspace)


def commit_first_study() -> str:
    """Commit the study that comes with Carrel to a repository of this site, and return its path."""
    repo = settings.get().workdir.absolute() / "studies" / "first-study"
    commit_folder(STUDY, repo, message="The first study")
    return str(repo)


def start_run(site: FirstSite) -> RunGroup:
    """Ask for all actions of the workspace on the backend. Raises SubmissionError, StudyFault, StudyUnavailable."""
    head = studies.branch_head(site.workspace)
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


def watch(run: RunGroup, seconds: float) -> Iterator[str]:
    """Send the run and ask for news of it, and yield each change in words; ends with the run, or after so long."""
    stop = threading.Event()
    link = threading.Thread(target=link_process.run, args=(stop,), daemon=True)
    link.start()
    last_words, ends_at = "", time.monotonic() + seconds
    try:
        while True:
            request = run.requests.get()
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


def succeeded(run: RunGroup) -> bool:
    """Tell whether every part of the run ended well; that there was nothing left to do is well."""
    good = (RequestStatus.SUCCEEDED, RequestStatus.NOTHING_TO_DO)
    return not run.requests.exclude(status__in=good).exists()

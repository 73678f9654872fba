"""`set_up_site`: what `carrel up` and the demo need of a job server, described on stdin as JSON."""

import json
import secrets
import sys
from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from pydantic import BaseModel, ValidationError

from carrel.jobserver.models import Backend, User
from carrel.jobserver.rights.scopes import Scope
from carrel.jobserver.service import setup, tokens
from carrel.jobserver.service.audit import COMMAND_LINE
from carrel.jobserver.service.catalogues import store_catalogue
from carrel.jobserver.service.submissions import Submission, submit
from carrel.messages.catalogue import Catalogue
from carrel.units.limits import MAX_REQUEST_BYTES

PROGRAM = "this site's own commands"


class PersonWish(BaseModel):
    username: str
    fullname: str
    password: str


class BackendWish(BaseModel):
    slug: str
    is_dummy: bool


class ProjectWish(BaseModel):
    slug: str
    name: str
    purpose: str


class WorkspaceWish(BaseModel):
    name: str
    repo: str
    branch: str
    purpose: str
    database: str


class RunWish(BaseModel):
    """A run of these actions at the head of the workspace's branch, on all of the backends."""

    workspace: str
    commit: str
    actions: list[str]
    force: bool


class SiteWishes(BaseModel):
    """All that there should be; what is there already is left as it is."""

    person: PersonWish
    backends: list[BackendWish]
    project: ProjectWish
    workspaces: list[WorkspaceWish]
    runs: list[RunWish]
    catalogues: dict[str, Catalogue]
    """By backend, what its databases hold."""
    checkers: list[PersonWish] = []
    """Output checkers of all backends."""
    token_of: str = ""
    """The backend whose review site needs a token."""


class Command(BaseCommand):
    help = "Make a person, backends, a project, workspaces and runs, as JSON on stdin says; prints token and runs."

    def handle(self, **options: Any) -> None:
        try:
            wishes = SiteWishes.model_validate_json(sys.stdin.read(MAX_REQUEST_BYTES))
        except ValidationError as error:
            raise CommandError(f"stdin holds no description of a site: {error}") from None
        actor = COMMAND_LINE
        person = setup.ensure_person(
            wishes.person.username,
            fullname=wishes.person.fullname,
            password=wishes.person.password,
            roles=setup.STAFF_ROLES,
            actor=actor,
        )
        backends: list[Backend] = [
            setup.ensure_backend(wish.slug, is_dummy=wish.is_dummy, is_listed=True, members=[person], actor=actor)
            for wish in wishes.backends
        ]
        checkers = [
            setup.ensure_person(
                wish.username, fullname=wish.fullname, password=wish.password, roles=["OutputChecker"], actor=actor
            )
            for wish in wishes.checkers
        ]
        for wish in wishes.backends if checkers else ():
            setup.ensure_backend(wish.slug, members=checkers, actor=actor)
        project = setup.ensure_project(
            wishes.project.slug,
            name=wishes.project.name,
            purpose=wishes.project.purpose,
            backends=backends,
            members={person: setup.PROJECT_ROLES},
            actor=actor,
        )
        workspaces = {
            wish.name: setup.ensure_workspace(
                project,
                wish.name,
                repo_url=wish.repo,
                branch=wish.branch,
                purpose=wish.purpose,
                database_name=wish.database,
                actor=actor,
            )
            for wish in wishes.workspaces
        }
        for backend in backends:
            if backend.slug in wishes.catalogues:
                store_catalogue(backend, wishes.catalogues[backend.slug], actor)
        slugs = [backend.slug for backend in backends]
        requests = [
            request
            for wish in wishes.runs
            for request in submit(
                Submission(
                    workspace=workspaces[wish.workspace],
                    person=person,
                    commit=wish.commit,
                    actions={slug: tuple(wish.actions) for slug in slugs},
                    force=frozenset(slugs if wish.force else ()),
                    submission_key=secrets.token_urlsafe(32),
                )
            ).requests.select_related("backend", "workspace")
        ]
        for token in person.tokens.filter(name=PROGRAM, revoked_at=None):
            tokens.revoke_personal_token(token, person)
        tomorrow = timezone.now() + timedelta(days=1)
        raw_token = tokens.create_personal_token(person, PROGRAM, [Scope.READ, Scope.RUN], tomorrow, actor)
        described = [
            {
                "rap_id": request.identifier,
                "backend": request.backend.slug,
                "workspace": request.workspace.name,
                "run": request.run_id,
            }
            for request in requests
        ]
        reviewed = next((backend for backend in backends if backend.slug == wishes.token_of), None)
        result = {
            "token": raw_token,
            "requests": described,
            "backend_token": tokens.create_backend_token(reviewed, actor) if reviewed else "",
            "level4_words": _level4_words([person, *checkers]) if checkers else {},
        }
        self.stdout.write(json.dumps(result))


def _level4_words(people: list[User]) -> dict[str, str]:
    """Return three words for each person who may have some now: only so many are made within an hour."""
    words = {}
    for person in people:
        with suppress(tokens.TokenNotIssued):
            words[person.username] = tokens.create_level4_token(person, COMMAND_LINE)
    return words

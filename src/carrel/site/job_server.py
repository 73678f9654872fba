"""The job server of a site: its first person, the backends, a project with the example studies, and its catalogue."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from carrel.site.layout import Secrets, Site, SiteError

OWNER = "demo"
PROJECT = "examples"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyWorkspace:
    """A study that people find on the job server. `repo`: a URL or a path; `database`: the one its queries go to."""

    name: str
    repo: str
    purpose: str
    branch: str = "main"
    database: str = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRun:
    """A run of `actions` at `commit` of a workspace, on every backend; `force`: also of what succeeded before."""

    workspace: str
    commit: str
    actions: tuple[str, ...] = ("run_all",)
    force: bool = True


@dataclass(frozen=True, slots=True)
class SentRequest:
    """One backend's part of a run, as the controller knows it."""

    rap_id: str
    backend: str
    workspace: str
    run: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    """What was made: the runs' parts, the review site's token where it had none, and three words by person."""

    sent: list[SentRequest]
    backend_token: str = ""
    level4_words: Mapping[str, str] = field(default_factory=dict)


def set_up(
    site: Site,
    keys: Secrets,
    workspaces: Sequence[StudyWorkspace],
    *,
    runs: Sequence[StudyRun] = (),
    catalogues: Mapping[str, Any] | None = None,
    checkers: Sequence[str] = (),
) -> SetUp:
    """Make what a person needs to begin, where it is missing, and ask for the runs.

    `catalogues`: by backend, what its databases hold; `checkers`: usernames of output checkers, who sign in to the
    review site as the owner does. SiteError when it failed.
    """
    needs_token = bool(site.review_backend) and not site.review_token.exists()
    wishes = {
        "person": {"username": OWNER, "fullname": "Demo Researcher", "password": keys.password},
        "backends": [{"slug": backend.name, "is_dummy": not backend.databases} for backend in site.backends],
        "project": {
            "slug": PROJECT,
            "name": "Example studies",
            "purpose": "To try Carrel: the studies that come with it, on this machine's backends.",
        },
        "workspaces": [asdict(workspace) for workspace in workspaces],
        "runs": [asdict(run) for run in runs],
        "catalogues": dict(catalogues or {}),
        "checkers": [
            {"username": name, "fullname": f"{name.title()}, output checker", "password": keys.password}
            for name in checkers
        ],
        "token_of": site.review_backend if needs_token else "",
    }
    argv = [sys.executable, "-m", "django", "set_up_site", "--settings", "carrel.web.settings"]
    done = subprocess.run(argv, env=site.jobserver_env(keys), input=json.dumps(wishes), capture_output=True, text=True)
    if done.returncode != 0:
        raise SiteError(f"the job server could not be set up:\n{done.stderr[-2000:]}")
    described = json.loads(done.stdout)
    return SetUp(
        sent=[SentRequest(**request) for request in described["requests"]],
        backend_token=described["backend_token"],
        level4_words=described["level4_words"],
    )


def how_to_sign_in(site: Site, keys: Secrets) -> str:
    """Say where the pages are, and as whom to sign in."""
    return f"{site.jobserver_url}  (sign in as {OWNER}, password {keys.password})"

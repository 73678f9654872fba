"""What a release's crate is made of, as values. Nothing here is of a file that was not released.

Times are ISO 8601, in UTC. Paths are below the workspace.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CratePerson:
    """Somebody who asked, ran, checked or released. `orcid`, `organisation`: "" where not known."""

    username: str
    name: str
    orcid: str = ""
    organisation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrateFile:
    """One released file. `size` in bytes; `job_id`: of the job that made it, "" where not known."""

    path: str
    sha256: str
    size: int
    job_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrateJob:
    """One job that made released files, by the manifest, and by the end of its log where that is still there."""

    job_id: str
    action: str
    job_request: str = ""
    run_by: str = ""
    repo: str = ""
    commit: str = ""
    database_version: str = ""
    database: str = ""
    image: str = ""
    started_at: str = ""
    ended_at: str = ""
    error: str = ""
    """Why it failed; "" for a job that succeeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrateVote:
    """What a checker said of a released path. `is_released`: of the very bytes that were released."""

    path: str
    vote: str
    is_released: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CrateReview:
    """What one checker decided in one turn. `others`: how many files they voted on that were not released."""

    checker: str
    turn: int
    at: str
    votes: tuple[CrateVote, ...]
    others: int = 0
    comments: tuple[str, ...] = ()
    """Those that are public."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrateRuleRecord:
    """What the disclosure rules said of one released file. `unchecked`: what they could not look at, and why."""

    path: str
    checked_at: str
    version: str
    configuration: dict[str, Any]
    unchecked: str
    findings: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CrateFacts:
    """All that one crate says. `identifier`: a URN; `previous`: that of the release before, "" for a first one."""

    identifier: str
    request: str
    version: int
    previous: str = ""
    backend: str
    publisher: str
    """The backend's organisation; so that `publisher_url` is its address, "" where not known."""
    publisher_url: str = ""
    license: str = ""
    """An address; "" where none was said."""
    workspace: str
    title: str = ""
    project: str = ""
    approval: str = ""
    funder: str = ""
    organisations: tuple[str, ...] = ()
    author: str
    people: dict[str, CratePerson]
    """By username."""
    files: tuple[CrateFile, ...]
    jobs: tuple[CrateJob, ...]
    reviews: tuple[CrateReview, ...]
    records: tuple[CrateRuleRecord, ...]
    checkers: int
    policy: str
    """SHA-256 of the backend's policy as it was when the crate was made."""
    permission: str
    """What says who may ask here: `the job server`, `accounts of this machine`."""
    requested_at: str
    approved_at: str
    approved_by: str
    released_at: str
    release_url: str = ""
    made_at: str
    carrel_version: str
    head_number: int
    """Of the last event of the audit chain at the release."""
    head_hash: str
    head_at: str

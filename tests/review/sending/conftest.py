"""A review site and the job server that it sends to, over real HTTP; both in the one database of a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import cache
from tests.jobserver.api.conftest import Api, api, database, workdir
from tests.support.jobserver import add_person
from tests.support.review import WORKSPACE, add_account, add_outputs, viewer_for

from carrel.review import settings as review_settings
from carrel.review.decisions import Vote
from carrel.review.models import ReleaseRequest
from carrel.review.service import files, groups, requests, votes

__all__ = ["api", "database", "workdir"]

OUTPUTS = {"output/age.csv": b"age,count\n40,100\n", "output/äge by sex.csv": b"sex,count\nf,120\n"}


@pytest.fixture(autouse=True)
def storage(tmp_path: Path, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The medium privacy folder; unlike elsewhere, Django's settings stay those of the job server."""
    medium = tmp_path / "medium_privacy"
    (medium / "workspaces").mkdir(parents=True)
    monkeypatch.setenv("MEDIUM_PRIVACY_STORAGE_BASE", str(medium))
    monkeypatch.setenv("BACKEND", "north")
    review_settings.get.cache_clear()
    yield medium
    review_settings.get.cache_clear()


@pytest.fixture
def job_server(api: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """A job server that knows the workspace and the people of the request."""
    api.workspace.name = WORKSPACE
    api.workspace.save()
    for name, role in (("ann", ""), ("bob", "OutputChecker"), ("cat", "OutputChecker")):
        api.north.memberships.create(user=add_person(name, *filter(None, [role])))
    monkeypatch.setenv("JOB_SERVER_ENDPOINT", f"{api.url}/api/v2/")
    monkeypatch.setenv("JOB_SERVER_TOKEN", api.tokens["north"])
    review_settings.get.cache_clear()
    cache.clear()
    return api


def approved_request() -> ReleaseRequest:
    """A request of `ann` with all OUTPUTS, approved by `bob` and `cat`, the whole way."""
    ann = viewer_for(add_account("ann", WORKSPACE))
    checkers = [viewer_for(add_account(name, is_checker=True)) for name in ("bob", "cat")]
    add_outputs(OUTPUTS)
    request = requests.create(ann, WORKSPACE, title="Visits")
    files.add_all(ann, request, OUTPUTS, group="tables")
    groups.describe(ann, request, "tables", context="Visits by plan.", controls="Rounded to 5.")
    requests.submit(ann, request)
    for checker in checkers:
        for file in request.files.all():
            votes.vote(checker, file, Vote.APPROVED, sha256=file.sha256)
        votes.submit_review(checker, request)
    return requests.approve(checkers[0], request)

"""kill -9 between any two instructions of sending, then simply start again: nothing lost, nothing twice."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.jobserver.api.conftest import Api
from tests.review.sending.conftest import OUTPUTS, approved_request
from tests.support.databases import Database
from tests.support.forked import Forker

from carrel.review.models import AuditEvent, ReleaseRequest, ReviewNotice
from carrel.review.queries.crates import crate_fault
from carrel.review.service import crates

POINTS = [
    "review.upload.announced",
    "review.upload.read",
    "review.upload.sent",
    "review.upload.noted:2",
    "review.notice.sent",
    "review.notice.noted:5",
    "review.crate.begin",
    "review.crate.in_place",
]
BEFORE_ANYTHING = {"review.upload.announcing", "review.notice.sending"}


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    with Forker("tests.support.review_sending_scenario") as running:
        yield running


@pytest.fixture
def environ(job_server: Api, database: Database, storage: Path, workdir: Path) -> dict[str, str]:
    approved_request()
    names = ("JOB_SERVER_ENDPOINT", "JOB_SERVER_TOKEN", "MEDIUM_PRIVACY_STORAGE_BASE", "BACKEND", "WORKDIR")
    taken = {name: os.environ[name] for name in names}
    return {**taken, "CARREL_APPS": "review", "CARREL_DATABASE_URL": database.url}


def check(most_told: int) -> None:
    """What holds in the end, wherever it was killed."""
    from carrel.jobserver.models import AuditEvent as JobServerEvent
    from carrel.jobserver.models import ReleaseFile
    from carrel.jobserver.service.releases import path_of

    assert ReleaseRequest.objects.get().status == "RELEASED"
    assert {file.name: path_of(file).read_bytes() for file in ReleaseFile.objects.all()} == OUTPUTS
    counts = Counter(AuditEvent.objects.values_list("event_type", flat=True))
    assert (counts["REQUEST_FILE_UPLOAD"], counts["REQUEST_RELEASE"], counts["REQUEST_CRATE"]) == (2, 1, 1)
    assert crate_fault(crates.path_of(ReleaseRequest.objects.get()))[0] == ""
    counts = Counter(JobServerEvent.objects.values_list("action", flat=True))
    assert (counts["release.created"], counts["release_file.uploaded"]) == (1, 2)
    told = [count for action, count in counts.items() if action.startswith("airlock.")]
    assert len(told) == 5
    assert max(told) <= most_told
    assert not ReviewNotice.objects.filter(sent_at=None).exists()


def test_undisturbed(forker: Forker, environ: dict[str, str], tmp_path: Path) -> None:
    assert forker.call("run", environ=environ, points=tmp_path / "points") == 0
    passed = {point for point in (tmp_path / "points").read_text().split() if point.startswith("review.")}
    assert passed == {point.partition(":")[0] for point in POINTS} | BEFORE_ANYTHING
    check(most_told=1)


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point_and_run_again(forker: Forker, environ: dict[str, str], point: str) -> None:
    assert forker.call("run", kill_at=point, environ=environ) == -signal.SIGKILL
    assert forker.call("run", environ=environ) == 0
    check(most_told=2)

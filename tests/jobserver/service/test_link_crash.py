"""kill -9 between any two instructions of the link, then simply start again: no orphan, no duplicate, all told."""

import hashlib
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import databases
from tests.support.forked import Forker
from tests.support.jobserver import add_backend, add_person, add_project, add_request, add_run, add_workspace
from tests.support.rap_server import TOKEN, RapServer, rap_server
from tests.support.receivers import Calls, Mailbox, mail_server, webhook_receiver
from tests.support.sending_scenario import UPLOADED

from carrel.jobserver.models import AuditEvent
from carrel.messages.releases import FileList

POINTS = [
    "jobserver.request.claimed",
    "jobserver.request.answered",
    "jobserver.request.answered:2",
    "jobserver.request.marked",
    "jobserver.jobs.stored",
    "jobserver.jobs.stored:3",
    "jobserver.jobs.derived",
    "jobserver.jobs.derived:4",
    "jobserver.poll.stored",
    "jobserver.cancellation.stored",
    "jobserver.cancellation.claimed",
    "jobserver.cancellation.answered",
    "jobserver.cancellation.marked",
    "jobserver.message.claimed",
    "jobserver.message.sent",
    "jobserver.message.sent:2",
    "jobserver.message.marked",
]


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    with Forker("tests.support.sending_scenario") as running:
        yield running


class Site:
    """A database with three runs that wait to be sent, and all that the link talks to."""

    def __init__(self, database: databases.Database, folder: Path, server: RapServer, box: Mailbox, calls: Calls):
        self.server, self.box, self.calls = server, box, calls
        server.works = True
        server.actions["run_all"] = ["long_extract", "long_model"]
        self.environ = {
            "CARREL_APPS": "jobserver",
            "CARREL_DATABASE_URL": database.url,
            "WORKDIR": str(folder),
            "RAP_API_BASE_URL": server.base_url,
            "RAP_API_TOKEN": TOKEN,
            "EMAIL_HOST": "127.0.0.1",
            "EMAIL_PORT": str(box.port),
            "WEBHOOK_HOSTS": "127.0.0.1",
        }
        north, south = add_backend("north"), add_backend("south")
        project = add_project("", north, south)
        project.webhooks.create(url=calls.url)
        workspace, person = add_workspace(project), add_person("", "ProjectDeveloper", project=project)
        for backend in (north, south):
            backend.memberships.create(user=person)
        for number, (backend, action) in enumerate([(north, "extract"), (south, "run_all"), (north, "model")], start=1):
            run = add_run(workspace, person, pk=number)
            add_request(run, backend, (action,), identifier=f"request{number}aaaaaaaa", sent_at=None)

    def view(self) -> dict[str, Any]:
        """All that matters, without what a clock or a random number made."""
        from carrel.jobserver.models import AuditEvent, Cancellation, Job, JobRequest, JobStatusChange, OutgoingMessage

        return {
            "requests": list(JobRequest.objects.order_by("id").values_list("status", "status_message")),
            "jobs": list(Job.objects.order_by("request_id", "action").values_list("request", "action", "status_code")),
            "changes": sorted(JobStatusChange.objects.values_list("job__identifier", "status_code")),
            "cancellations": list(Cancellation.objects.values_list("request", "outcome")),
            "cancelled": list(JobRequest.objects.order_by("id").values_list("cancelled_actions", flat=True)),
            "messages": sorted(OutgoingMessage.objects.values_list("key", "subject")),
            "unsent": OutgoingMessage.objects.filter(sent_at=None).count(),
            "audit": AuditEvent.objects.count(),
            "at the controller": sorted((rap_id, len(jobs)) for rap_id, jobs in self.server.jobs.items()),
        }


@pytest.fixture
def site(own_database: databases.Database, tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "workdir"
    folder.mkdir()
    with rap_server() as server, mail_server() as box, webhook_receiver() as calls:
        yield Site(own_database, folder, server, box, calls)


EXPECTED_JOBS = [
    (1, "extract", "succeeded"),
    (2, "long_extract", "cancelled_by_user"),
    (2, "long_model", "cancelled_by_user"),
    (3, "model", "succeeded"),
]


def check(site: Site) -> None:
    """What holds in the end, wherever the link was killed."""
    view = site.view()
    assert view["jobs"] == EXPECTED_JOBS
    assert [status for status, _ in view["requests"]] == ["succeeded", "failed", "succeeded"]
    assert view["at the controller"] == [
        (f"request{number}aaaaaaaa", count) for number, count in ((1, 1), (2, 2), (3, 1))
    ]
    assert view["unsent"] == 0
    assert [key for key, _ in view["messages"] if key.startswith("mail")] == [f"mail:run:{n}" for n in (1, 2, 3)]
    mails = Counter(mail["Message-ID"] for mail in site.box.messages)
    assert len(mails) == 3
    assert max(mails.values()) <= 2
    assert len({headers["Carrel-Delivery"] for headers, _ in site.calls.received}) == 3


def test_undisturbed(forker: Forker, site: Site, tmp_path: Path) -> None:
    assert forker.call("run", environ=site.environ, points=tmp_path / "points") == 0
    passed = (tmp_path / "points").read_text().split()
    for point in POINTS:
        name, _, count = point.partition(":")
        assert passed.count(name) >= int(count or 1), point
    assert set(passed) <= {point.partition(":")[0] for point in POINTS}
    check(site)
    assert len(site.box.messages) == 3
    assert site.server.paths().count("rap/create/") == 3


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point_and_run_again(forker: Forker, site: Site, point: str) -> None:
    assert forker.call("run", kill_at=point, environ=site.environ) == -signal.SIGKILL
    assert forker.call("run", environ=site.environ) == 0
    check(site)


@pytest.mark.parametrize("killed", [{"half": True}, {"kill_at": "jobserver.releases.stored"}])
def test_an_upload_that_was_killed_shows_nothing_and_is_made_again(
    forker: Forker,
    database_template,
    tmp_path: Path,
    django_db_blocker,
    monkeypatch: pytest.MonkeyPatch,
    killed: dict[str, Any],
) -> None:
    """In the middle of the bytes, or between the bytes and their row: nothing is lost, nothing half is to be seen."""
    from carrel.jobserver import settings as own_settings
    from carrel.jobserver.released_files import latest_of
    from carrel.jobserver.service import releases

    monkeypatch.setenv("RELEASE_STORAGE", str(tmp_path / "releases"))
    own_settings.get.cache_clear()
    database = database_template.copy(tmp_path)
    environ = {"CARREL_APPS": "jobserver", "CARREL_DATABASE_URL": database.url, "WORKDIR": str(tmp_path)}
    environ["RELEASE_STORAGE"] = str(tmp_path / "releases")
    digest = hashlib.sha256(UPLOADED).hexdigest()
    file = {"name": "t.csv", "size": len(UPLOADED), "sha256": digest, "date": "2026-05-03T09:00:00Z"}
    with django_db_blocker.unblock(), databases.used_by_django(database):
        backend, person = add_backend("north"), add_person("ann")
        workspace = add_workspace(add_project("", backend))
        sent = FileList.model_validate({"files": [file]})
        release, _ = releases.create_release(workspace, backend, person, sent, person)
        call = {"environ": environ, "release": release.pk, "path": "t.csv"}
        assert forker.call("upload", **call, **killed) == -signal.SIGKILL
        row = release.files.get()
        assert row.uploaded_at is None
        assert latest_of(workspace) == []
        assert not AuditEvent.objects.filter(action="release_file.uploaded").exists()
        assert forker.call("upload", **call) == 0
        row.refresh_from_db()
        assert row.uploaded_at is not None
        assert [shown.pk for shown in latest_of(workspace)] == [row.pk]
        assert releases.path_of(row).read_bytes() == UPLOADED
        assert AuditEvent.objects.filter(action="release_file.uploaded").count() == 1
        left = [path.name for path in (tmp_path / "releases").rglob("*") if path.is_file()]
        assert left.count("t.csv") == 1
        assert forker.call("upload", **call) == 1, "once is enough"
    own_settings.get.cache_clear()

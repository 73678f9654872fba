"""Approved files on their way out: to our own job server, and to a folder of this machine."""

import threading
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from tests.jobserver.api.conftest import Api
from tests.review.sending.conftest import OUTPUTS, approved_request
from tests.support.waiting import until

from carrel.clients.releases import ReleasesClient
from carrel.review import settings as review_settings
from carrel.review.models import AuditEvent, ReleaseRequest, ReviewNotice
from carrel.review.sending import process
from carrel.review.sending.destinations import FolderDestination, JobServerDestination
from carrel.review.sending.uploads import due_requests, upload_request
from carrel.review.service import leases, releases


def status_of(request: ReleaseRequest) -> str:
    return ReleaseRequest.objects.get(pk=request.pk).status


def test_what_is_approved_arrives_and_the_job_server_is_told(job_server: Api) -> None:
    from carrel.jobserver.models import AuditEvent as JobServerEvent
    from carrel.jobserver.models import Release
    from carrel.jobserver.service.releases import path_of

    request = approved_request()
    stop = threading.Event()
    thread = threading.Thread(target=process.run, args=(stop,))
    thread.start()
    try:
        until(lambda: status_of(request) == "RELEASED", "the release")
        until(lambda: not ReviewNotice.objects.filter(sent_at=None).exists(), "all notices")
        assert not leases.hold(process.LEASE, "another process")
    finally:
        stop.set()
        thread.join()
    assert leases.hold(process.LEASE, "another process")
    release = Release.objects.get()
    assert (release.pk, release.created_by.username) == (request.pk, "bob")
    assert {file.name: path_of(file).read_bytes() for file in release.files.all()} == OUTPUTS
    assert release.files.get(name="output/age.csv").metadata["action"] == "tabulate"
    request.refresh_from_db()
    assert request.release_url == f"{job_server.url}/cancer/{request.workspace}/releases/{request.pk}/"
    events = JobServerEvent.objects.filter(action__startswith="airlock.", subject=request.pk).order_by("pk")
    assert list(events.values_list("action", flat=True)) == [
        "airlock.submitted",
        "airlock.partially_reviewed",
        "airlock.reviewed",
        "airlock.approved",
        "airlock.released",
    ]
    assert set(ReviewNotice.objects.values_list("problem", flat=True)) == {""}


def test_while_the_job_server_is_away_nothing_is_lost_and_the_reason_stands_at_each_file(job_server: Api) -> None:
    request = approved_request()
    with ReleasesClient("http://127.0.0.1:1/", "a token") as nowhere:
        upload_request(request.pk, JobServerDestination(nowhere))
        upload_request(request.pk, JobServerDestination(nowhere))
    files = list(request.files.all())
    assert [file.upload_attempts for file in files] == [1, 1]
    assert all("is the address right" in file.upload_error for file in files)
    assert due_requests(timezone.now()) == []
    request.files.update(upload_attempted_at=None)
    with ReleasesClient(review_settings.get().job_server_endpoint, review_settings.get().token) as client:
        upload_request(request.pk, JobServerDestination(client))
    assert status_of(request) == "RELEASED"
    assert set(request.files.values_list("upload_error", flat=True)) == {""}


def test_a_refusal_is_told_in_words_and_alone(job_server: Api) -> None:
    request = approved_request()
    job_server.north.memberships.filter(user__username="bob").delete()
    with ReleasesClient(review_settings.get().job_server_endpoint, review_settings.get().token) as client:
        upload_request(request.pk, JobServerDestination(client))
    errors = set(request.files.values_list("upload_error", flat=True))
    assert len(errors) == 1
    assert all("names nobody who is a member of this backend" in error for error in errors)
    assert status_of(request) == "APPROVED"


@pytest.mark.usefixtures("database")
def test_without_a_job_server_files_are_written_to_a_folder(storage: Path) -> None:
    request = approved_request()
    sender = process.Sender()
    sender.step()
    sender.close()
    assert status_of(request) == "RELEASED"
    folder = storage / "releases" / request.pk / "north"
    written = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.csv")}
    assert written == OUTPUTS
    assert not ReviewNotice.objects.exists()


@pytest.mark.usefixtures("database")
def test_other_bytes_than_the_approved_ones_never_leave(storage: Path) -> None:
    request = approved_request()
    file = request.files.get(path="output/age.csv")
    copy = storage / "requests" / request.workspace / request.pk / file.sha256
    copy.chmod(0o600)
    copy.write_bytes(b"age,count\n40,101\n")
    upload_request(request.pk, FolderDestination())
    assert status_of(request) == "APPROVED"
    file.refresh_from_db()
    assert "was changed on the disk" in file.upload_error
    assert {path.name for path in (storage / "releases").rglob("*.csv")} == {"äge by sex.csv"}
    assert AuditEvent.objects.filter(event_type="REQUEST_FILE_UPLOAD").count() == 1
    with pytest.raises(releases.ReleaseRefused):
        releases.uploaded(file, "0" * 64)


@pytest.mark.usefixtures("database")
def test_a_folder_that_cannot_be_written(storage: Path) -> None:
    (storage / "releases").write_bytes(b"")
    request: Any = approved_request()
    upload_request(request.pk, FolderDestination())
    assert {file.upload_error for file in request.files.all()} == {
        "The folder of releases cannot be written: Not a directory."
    }

"""Our client of the releases API: against our own job server, and against answers that are no job server's."""

import hashlib
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from tests.jobserver.api.conftest import Api
from tests.support.http_server import Handler, serving
from tests.support.jobserver import add_person

from carrel.clients.job_server_connection import (
    JobServerError,
    JobServerRefused,
    JobServerUnavailable,
    JobServerUnreadable,
)
from carrel.clients.releases import ReleasesClient
from carrel.messages.releases import FileList

RELEASE = "01HX3V6Q4ZJ8S0K5T7W9Y2B1CD"
TABLE = b"age,count\n40,100\n"
NAME = 'output/äge "by" sex.csv'


def listed(data: bytes = TABLE) -> FileList:
    file = {
        "name": NAME,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "date": "2026-05-03T09:00:00+00:00",
    }
    return FileList.model_validate({"files": [file], "metadata": {"tool": "carrel", "airlock_id": RELEASE}})


@pytest.fixture
def client(api: Api) -> Iterator[ReleasesClient]:
    with ReleasesClient(f"{api.url}/api/v2", api.tokens["north"]) as connected:
        yield connected


@pytest.fixture
def checker(api: Api) -> Any:
    person = add_person("jörg", "OutputChecker")
    api.north.memberships.create(user=person)
    return person


def test_a_release_is_announced_and_sent_and_doing_it_again_is_doing_it_once(
    client: ReleasesClient, api: Api, checker: Any
) -> None:
    from carrel.jobserver.models import Release, ReleaseFile
    from carrel.jobserver.service.releases import path_of

    for _ in range(2):
        created = client.create_release("survival", listed(), username="jörg")
        assert created.release_id == RELEASE
        assert created.release_url == f"{api.url}/cancer/survival/releases/{RELEASE}/"
        client.upload(RELEASE, NAME, TABLE, username="jörg")
    assert Release.objects.get().created_by == checker
    file = ReleaseFile.objects.get()
    assert (file.name, file.uploaded_at is None) == (NAME, False)
    assert path_of(file).read_bytes() == TABLE


def test_what_a_job_server_refuses(client: ReleasesClient, checker: Any) -> None:
    client.create_release("survival", listed(), username="jörg")
    with pytest.raises(JobServerRefused, match="they differ in") as conflict:
        client.create_release("survival", listed(b"other"), username="jörg")
    assert conflict.value.status == 409
    with pytest.raises(JobServerRefused, match="do not match the hash"):
        client.upload(RELEASE, NAME, b"other", username="jörg")
    with pytest.raises(JobServerRefused, match=r"check the backend's token \(JOB_SERVER_TOKEN\)"):
        client.upload(RELEASE, NAME, TABLE, username="nobody")
    with pytest.raises(JobServerRefused, match="404"):
        client.create_release("no such/workspace", listed(), username="jörg")


def test_people_sign_in_and_are_asked_about(client: ReleasesClient, api: Api, checker: Any) -> None:
    from carrel.jobserver.service.tokens import create_level4_token

    words = create_level4_token(checker, checker)
    person = client.authenticate("jörg", words)
    assert (person.username, person.output_checker) == ("jörg", True)
    with pytest.raises(JobServerRefused) as used_up:
        client.authenticate("jörg", words)
    assert used_up.value.status == 403
    assert client.authorise("jörg") == person
    api.north.memberships.all().delete()
    with pytest.raises(JobServerRefused) as taken_away:
        client.authorise("jörg")
    assert taken_away.value.status == 403
    with pytest.raises(JobServerRefused) as nobody:
        client.authorise("nobody")
    assert nobody.value.status == 404


def test_events_are_told(client: ReleasesClient, api: Api, checker: Any) -> None:
    event = {"event_type": "request_submitted", "workspace": "survival", "request": RELEASE, "request_author": "jörg"}
    assert client.tell({**event, "user": "jörg", "updates": []}) == ""
    assert client.tell({**event, "workspace": "gone", "user": "jörg", "updates": []}) == "there is no workspace 'gone'"


PERSON = {"username": "ann", "fullname": "Ann", "workspaces": {}, "copiloted_workspaces": {}, "output_checker": False}


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind"),
    [
        (200, b"<html>", {}, JobServerUnreadable),
        (200, json.dumps(PERSON).encode(), {}, JobServerUnreadable),
        (201, b"{}", {}, JobServerUnreadable),
        (302, b"", {"Location": "http://127.0.0.1:1/"}, JobServerUnavailable),
        (503, b"", {"Retry-After": "7"}, JobServerUnavailable),
        (400, b"[" * 2000, {}, JobServerRefused),
        (500, b"secret\0words", {}, JobServerRefused),
        (200, b"x" * 3000, {}, JobServerUnavailable),
    ],
)
def test_what_is_no_answer_is_an_error_of_its_kind(
    monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, headers: dict[str, str], kind: type[JobServerError]
) -> None:
    class Fixed(Handler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send(status, body, headers)

    monkeypatch.setattr("carrel.clients.job_server_connection.MAX_ANSWER_BYTES", 2500)
    with serving(Fixed) as url, ReleasesClient(url, "s3cret") as client, pytest.raises(JobServerError) as error:
        client.authorise("ann")
    assert type(error.value) is kind
    assert "s3cret" not in str(error.value)


def test_nobody_answers() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        client = ReleasesClient(f"http://127.0.0.1:{taken.getsockname()[1]}", "s3cret")
        with client, pytest.raises(JobServerUnavailable, match="is the address right"):
            client.authorise("ann")

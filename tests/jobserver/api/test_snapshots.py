"""Drafts and publishing (section 2.2), and the one truth about what is public (section 8, 6b and 10)."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections
from tests.jobserver.api.conftest import Api, personal_token
from tests.jobserver.api.test_releases import TABLE, checker, released
from tests.support.jobserver import add_person, add_workspace

from carrel.jobserver.models import AuditEvent, PublishRequest, ReleaseFile, Snapshot, User
from carrel.jobserver.service.publications import PublicationError, reject, unpublish
from carrel.jobserver.service.releases import delete_file

__all__ = ["checker"]


@pytest.fixture
def author(api: Api) -> User:
    return add_person("ann", "ProjectDeveloper", project=api.project)


@pytest.fixture
def publisher(api: Api) -> User:
    return add_person("pat", "OutputPublisher")


def draft(api: Api, person: User, *files: ReleaseFile) -> str:
    """Draft these files, and return the path of the snapshot at the API."""
    with api.as_person(person) as session:
        answer = session.post("workspaces/survival/snapshots", json={"file_ids": [file.pk for file in files]})
    assert answer.status_code == 201, answer.text
    snapshot = Snapshot.objects.latest("created_at")
    assert answer.json() == {"url": f"{api.url}/cancer/survival/snapshots/{snapshot.pk}/"}
    return f"workspaces/survival/snapshots/{snapshot.pk}"


def publish(api: Api, person: User, path: str) -> int:
    with api.as_person(person) as session:
        return session.post(f"{path}/publish").status_code


def public(api: Api, path: str, file: ReleaseFile) -> tuple[int, int, int]:
    """What a stranger gets: the index of the snapshot, its page, and the file."""
    page = f"{api.url}/cancer/survival/snapshots/{path.rpartition('/')[2]}/"
    at = f"{api.url}/cancer/survival/published/{file.pk}/"
    answers = (api.ask("GET", path), api.http.get(page), api.http.get(at))
    return tuple(answer.status_code for answer in answers)  # type: ignore[return-value]  # three of them


HIDDEN, OPEN = (403, 404, 404), (200, 200, 200)


def test_from_draft_to_public_and_back(api: Api, checker: User, author: User, publisher: User) -> None:
    of_north, of_south = released(api), released(api, backend="south", contents=b"south\n")
    path = draft(api, author, of_north, of_south)
    assert public(api, path, of_north) == HIDDEN
    with api.as_person(author) as session:
        index = session.get(path).json()["files"]
    assert [file["name"] for file in index] == ["north/output/table.csv", "south/output/table.csv"]
    assert publish(api, author, path) == 403
    assert publish(api, publisher, path) == 200
    assert publish(api, publisher, path) == 200, "again changes nothing"
    assert public(api, path, of_north) == OPEN
    shown = api.ask("GET", path).json()["files"]
    assert [file["url"] for file in shown] == [
        f"/cancer/survival/published/{of_north.pk}/",
        f"/cancer/survival/published/{of_south.pk}/",
    ]
    answer = api.http.get(f"{api.url}{shown[0]['url']}")
    assert answer.content == TABLE
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    # Drafting the same files again leaves them public: there is nothing new to decide.
    assert draft(api, author, of_south, of_north) == path
    assert public(api, path, of_north) == OPEN
    assert PublishRequest.objects.count() == 1
    unpublish(Snapshot.objects.get(), "a mistake", publisher, publisher)
    assert public(api, path, of_north) == HIDDEN
    actions = AuditEvent.objects.filter(subject_type="snapshot").order_by("id").values_list("action", "actor")
    assert list(actions) == [
        ("snapshot.drafted", "ann"),
        ("snapshot.approved", "pat"),
        ("snapshot.unpublished", "pat"),
    ]
    assert publish(api, publisher, path) == 409, "it has to be drafted again"
    assert draft(api, author, of_north, of_south) == path
    assert publish(api, publisher, path) == 200
    assert public(api, path, of_north) == OPEN


def test_a_file_stays_public_by_another_snapshot(api: Api, checker: User, author: User, publisher: User) -> None:
    one, two = released(api), released(api, "b.csv")
    both, single = draft(api, author, one, two), draft(api, author, one)
    assert both != single
    assert [publish(api, publisher, path) for path in (both, single)] == [200, 200]
    unpublish(Snapshot.objects.get(pk=both.rpartition("/")[2]), "", publisher, publisher)
    assert public(api, both, two) == HIDDEN
    assert public(api, single, one) == OPEN
    delete_file(ReleaseFile.objects.select_related("backend", "workspace__project").get(pk=one.pk), checker, checker)
    assert public(api, single, one) == (200, 200, 404)


def test_rejecting_needs_a_reason_and_ends_the_draft(api: Api, checker: User, author: User, publisher: User) -> None:
    file = released(api)
    path = draft(api, author, file)
    snapshot = Snapshot.objects.get()
    with pytest.raises(PublicationError, match="Say why"):
        reject(snapshot, " ", publisher, publisher)
    reject(snapshot, "Small numbers in row 3.", publisher, publisher)
    with pytest.raises(PublicationError, match="decided already"):
        reject(snapshot, "Again.", publisher, publisher)
    assert public(api, path, file) == HIDDEN
    assert publish(api, publisher, path) == 409


def test_which_files_can_be_drafted(api: Api, checker: User, author: User) -> None:
    add_workspace(api.project, "other")
    file = released(api)
    elsewhere = ReleaseFile.objects.create(
        release=file.release,
        workspace=api.project.workspaces.get(name="other"),
        backend=api.north,
        name="x",
        path="x",
        sha256="0" * 64,
        size=1,
        modified_at=file.modified_at,
        created_by=checker,
        uploaded_at=file.uploaded_at,
    )
    with api.as_person(author) as session:
        for ids in ([], ["nothing"], [elsewhere.pk], [file.pk, "01HX3V6Q4ZJ8S0K5T7W9Y2B1CD"]):
            answer = session.post("workspaces/survival/snapshots", json={"file_ids": ids})
            assert answer.status_code == 400
        assert answer.json()["detail"] == "Not among this workspace's released files: 01HX3V6Q4ZJ8S0K5T7W9Y2B1CD"
    assert not Snapshot.objects.exists()


def test_who_may_draft(api: Api, checker: User, author: User) -> None:
    body = {"file_ids": [released(api).pk]}
    path = "workspaces/survival/snapshots"
    with api.as_person(author) as session:
        del session.headers["X-CSRFToken"]
        answer = session.post(path, json=body)
        assert (answer.status_code, answer.json()["detail"][:4]) == (403, "CSRF")
    with api.as_person(checker) as session:
        assert session.post(path, json=body).status_code == 403
    assert api.ask("POST", path, json=body).status_code == 403
    assert api.ask("POST", path, f"ann:{personal_token(author)}", json=body).status_code == 403, "sessions only"
    assert api.ask("GET", f"{path}/99999999999999999999999").status_code == 403, "as one not public"


def test_many_drafts_of_the_same_files_at_once_are_one(api: Api, checker: User, author: User) -> None:
    file = released(api)

    def draft_in_thread(_number: int) -> str:
        try:
            return draft(api, author, file)
        finally:
            connections.close_all()  # those of this thread

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(draft_in_thread, range(4)))) == 1
    assert (Snapshot.objects.count(), PublishRequest.objects.count()) == (1, 1)

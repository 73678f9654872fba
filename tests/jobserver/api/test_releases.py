"""The releases endpoints, each row of the contract's table (job-server.md section 2.2), over real HTTP."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.jobserver.api.conftest import Api, personal_token
from tests.support.jobserver import add_person, add_project, add_workspace

from carrel.jobserver.models import AuditEvent, BackendMembership, Release, ReleaseFile, ReleaseFileReview, User
from carrel.jobserver.rights.scopes import Scope
from carrel.jobserver.service.releases import delete_file

AIRLOCK_ID = "01HX3V6Q4ZJ8S0K5T7W9Y2B1CD"
TABLE = b"age,count\n40,100\n"


def listed(name: str, contents: bytes = TABLE, **more: Any) -> dict[str, Any]:
    """One file of the list that a review site sends."""
    return {
        "name": name,
        "url": f"/{name}",
        "size": len(contents),
        "sha256": hashlib.sha256(contents).hexdigest(),
        "date": "2026-05-03T09:00:00+00:00",
        "metadata": {"tool": "airlock"},
        "review": None,
        **more,
    }


def listing(*files: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"files": list(files), "metadata": {"tool": "airlock", **metadata}, "review": None}


@pytest.fixture
def checker(api: Api) -> User:
    person = add_person("chris", "OutputChecker")
    for backend in (api.north, api.south):
        BackendMembership.objects.create(backend=backend, user=person)
    return person


@pytest.fixture
def reader(api: Api) -> User:
    return add_person("ann", "ProjectCollaborator", project=api.project)


def announce(api: Api, body: dict[str, Any], workspace: str = "survival", **options: Any) -> httpx.Response:
    return api.as_backend("POST", f"releases/workspace/{workspace}", json=body, **{"user": "chris", **options})


def send(api: Api, release: str, name: str, contents: bytes = TABLE, **options: Any) -> httpx.Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'.encode(), **options.pop("headers", {})}
    path = f"releases/release/{release}"
    return api.as_backend("POST", path, content=contents, headers=headers, **{"user": "chris", **options})


def released(api: Api, name: str = "output/table.csv", contents: bytes = TABLE, backend: str = "north") -> ReleaseFile:
    """A file that has arrived."""
    release = announce(api, listing(listed(name, contents)), backend=backend).headers["Release-Id"]
    answer = send(api, release, name, contents, backend=backend)
    assert answer.status_code == 201, answer.text
    return ReleaseFile.objects.get(pk=answer.headers["File-Id"])


# -- POST releases/workspace/<ws>


def test_a_release_is_announced_with_its_id_in_the_answer_and_in_a_header(api: Api, checker: User) -> None:
    answer = announce(api, listing(listed("output/table.csv"), airlock_id=AIRLOCK_ID))
    assert answer.status_code == 201
    assert answer.json() == {
        "release_id": AIRLOCK_ID,
        "release_url": f"{api.url}/cancer/survival/releases/{AIRLOCK_ID}/",
    }
    assert answer.headers["Release-Id"] == AIRLOCK_ID
    release = Release.objects.get()
    assert (release.backend, release.workspace, release.created_by) == (api.north, api.workspace, checker)
    file = release.files.get()
    assert (file.name, file.path) == ("output/table.csv", f"north/survival/{AIRLOCK_ID}/output/table.csv")
    assert (file.uploaded_at, file.metadata) == (None, {"tool": "airlock"})
    event = AuditEvent.objects.get(action="release.created")
    assert (event.actor, event.backend, event.project, event.subject) == ("chris", "north", "cancer", AIRLOCK_ID)


def test_without_an_id_each_list_is_a_new_release(api: Api, checker: User) -> None:
    ids = {announce(api, listing(listed("a.csv"))).headers["Release-Id"] for _ in range(2)}
    assert len(ids) == 2
    assert all(len(release_id) == 26 for release_id in ids)


def test_the_same_list_under_the_same_id_is_the_same_release(api: Api, checker: User) -> None:
    body = listing(listed("a.csv"), listed("b.csv", b"b"), airlock_id=AIRLOCK_ID)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: announce(api, body), range(8)))
    assert [answer.status_code for answer in answers] == [201] * 8
    assert {answer.headers["Release-Id"] for answer in answers} == {AIRLOCK_ID}
    assert (Release.objects.count(), ReleaseFile.objects.count()) == (1, 2)
    assert AuditEvent.objects.filter(action="release.created").count() == 1


def test_another_set_of_files_workspace_or_backend_under_the_same_id_is_409(api: Api, checker: User) -> None:
    add_workspace(api.project, "other")
    assert announce(api, listing(listed("a.csv"), airlock_id=AIRLOCK_ID)).status_code == 201
    different = announce(api, listing(listed("a.csv", b"other bytes"), listed("b.csv"), airlock_id=AIRLOCK_ID))
    assert different.status_code == 409
    assert different.json()["detail"] == (
        f"There is a release {AIRLOCK_ID} already, with other files: they differ in a.csv, b.csv. "
        "Send the same list, or use another id."
    )
    same = listing(listed("a.csv"), airlock_id=AIRLOCK_ID)
    for answer in (announce(api, same, backend="south"), announce(api, same, workspace="other")):
        assert answer.status_code == 409
        assert answer.json()["detail"] == f"There is a release {AIRLOCK_ID} already, of another workspace or backend."
    assert ReleaseFile.objects.get().sha256 == hashlib.sha256(TABLE).hexdigest()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (listing(), "body.files"),
        (listing(listed("../secret")), "body.files.0.name"),
        (listing(listed("/etc/passwd")), "body.files.0.name"),
        (listing(listed("a//b")), "body.files.0.name"),
        (listing(listed("a\\b")), "body.files.0.name"),
        (listing(listed("a\nb")), "body.files.0.name"),
        (listing(listed("é" * 130)), "body.files.0.name"),
        (listing(listed("a", sha256="abc")), "body.files.0.sha256"),
        (listing(listed("a", size=-1)), "body.files.0.size"),
        ([], "body"),
        ({"files": 5}, "body.files"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused_with_its_place(api: Api, checker: User, body: Any, problem: str) -> None:
    answer = announce(api, body)
    assert (answer.status_code, answer.json()["errors"][0]["where"]) == (400, problem)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (listing(listed("a.csv"), listed("a.csv")), "Twice in the list, or the folder of another file: a.csv"),
        (listing(listed("a"), listed("a/b")), "Twice in the list, or the folder of another file: a"),
        (listing(listed("a", size=16 * 1024 * 1024 + 1)), "A file may have 16,777,216 bytes. Larger: a"),
        (listing(listed("a", date="yesterday")), "The date is not in ISO 8601: a"),
        (listing(listed("a"), airlock_id="../../x"), "metadata.airlock_id is no ULID: 26 digits and capitals."),
        (listing(listed("a"), airlock_id=5), "metadata.airlock_id is no ULID: 26 digits and capitals."),
    ],
)
def test_a_list_that_cannot_be_is_refused_in_a_sentence(api: Api, checker: User, body: Any, detail: str) -> None:
    answer = announce(api, body)
    assert (answer.status_code, answer.json()["detail"]) == (400, detail)
    assert not Release.objects.exists()


def test_who_may_release(api: Api, checker: User) -> None:
    body = listing(listed("a.csv"))
    add_person("dan", "ProjectDeveloper", project=api.project)
    stranger = add_person("eve", "OutputChecker")
    BackendMembership.objects.create(backend=api.north, user=User.objects.get(username="dan"))
    refused = {
        "": "The header OS-User does not say for whom this is done.",
        "nobody": "OS-User names nobody who is a member of this backend.",
        stranger.username: "OS-User names nobody who is a member of this backend.",
        "dan": "None of your roles here lets you release files from a backend.",
    }
    for user, detail in refused.items():
        answer = announce(api, body, user=user)
        assert (answer.status_code, answer.json()["detail"]) == (403, detail)
    User.objects.filter(username="chris").update(is_active=False)
    assert announce(api, body).status_code == 403
    without_token = api.ask("POST", "releases/workspace/survival", json=body, headers={"OS-User": "chris"})
    assert without_token.status_code == 403
    assert announce(api, body, workspace="nowhere", user="chris").status_code in (403, 404)


# -- POST releases/release/<id>


def test_a_file_arrives_whole_where_it_belongs(api: Api, checker: User, workdir: Path) -> None:
    release = announce(api, listing(listed("output/table.csv"), airlock_id=AIRLOCK_ID)).headers["Release-Id"]
    answer = send(api, release, "output/table.csv")
    assert (answer.status_code, answer.content) == (201, b"")
    file = ReleaseFile.objects.get()
    assert answer.headers["File-Id"] == file.pk
    assert answer.headers["Location"] == f"{api.url}/api/v2/releases/file/{file.pk}"
    assert file.uploaded_at is not None
    path = workdir / "releases" / "north" / "survival" / AIRLOCK_ID / "output" / "table.csv"
    assert path.read_bytes() == TABLE
    assert AuditEvent.objects.filter(action="release_file.uploaded", actor="chris").count() == 1


def test_each_refusal_of_an_upload_in_the_contracts_words(api: Api, checker: User, workdir: Path) -> None:
    release = announce(api, listing(listed("a.csv"))).headers["Release-Id"]
    digest = hashlib.sha256(TABLE).hexdigest()
    refusals = [
        (send(api, release, "b.csv"), f"File b.csv not requested in release {release}"),
        (send(api, release, "a.csv", backend="south"), "Release is from backend north not south"),
        (send(api, release, "a.csv", b"x"), f"Contents of a.csv do not match the hash that was announced, {digest}"),
        (send(api, release, "a.csv", b""), "No data uploaded"),
        (
            send(api, release, "", b"x"),
            'Say which file this is: Content-Disposition: attachment; filename="<path>"',
        ),
    ]
    for answer, detail in refusals:
        assert (answer.status_code, answer.json()["detail"]) == (400, detail)
    assert [path for path in (workdir / "releases").rglob("*") if path.is_file()] == []
    assert send(api, release, "a.csv").status_code == 201, "what failed before may be tried again"
    again = send(api, release, "a.csv")
    detail = "This version of 'a.csv' has already been uploaded from backend 'north'"
    assert (again.status_code, again.json()["detail"]) == (400, detail)
    assert send(api, "01HX3V6Q4ZJ8S0K5T7W9Y2B1CX", "a.csv").status_code == 404


def test_a_file_over_the_limit_is_refused(api: Api, checker: User, monkeypatch: pytest.MonkeyPatch) -> None:
    from carrel.jobserver import settings

    release = announce(api, listing(listed("a.csv"))).headers["Release-Id"]
    monkeypatch.setenv("MAX_RELEASE_FILE_BYTES", "10")
    settings.get.cache_clear()
    answer = send(api, release, "a.csv")
    assert (answer.status_code, "too large" in answer.json()["detail"]) == (400, True)
    # Without a length beforehand it is cut off while it arrives.
    answer = send(api, release, "a.csv", iter([TABLE]))  # type: ignore[arg-type]  # httpx sends pieces in chunks
    assert (answer.status_code, "too large" in answer.json()["detail"]) == (400, True)


def test_many_uploads_of_one_file_at_once_are_one(api: Api, checker: User, workdir: Path) -> None:
    contents = b"x" * 300_000
    release = announce(api, listing(listed("a.bin", contents))).headers["Release-Id"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: send(api, release, "a.bin", contents).status_code, range(4)))
    assert sorted(answers) == [201, 400, 400, 400]
    files = [path for path in (workdir / "releases").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in files] == [contents]


def test_names_beyond_ascii(api: Api, checker: User) -> None:
    file = released(api, "output/résumé 表.csv")
    answer = api.ask("GET", f"releases/file/{file.pk}", f"chris:{personal_token(checker)}")
    assert answer.content == TABLE


# -- GET: lists and files


def test_the_latest_version_of_each_file_by_backend(api: Api, checker: User, reader: User) -> None:
    released(api, contents=b"old\n")
    newer = released(api)
    of_south = released(api, backend="south", contents=b"south\n")
    gone = released(api, "gone.csv")
    delete_file(gone, checker, "a test")
    announce(api, listing(listed("never-sent.csv")))
    answer = api.ask("GET", "releases/workspace/survival", f"ann:{personal_token(reader)}")
    assert answer.status_code == 200
    files = answer.json()["files"]
    assert [file["name"] for file in files] == ["north/output/table.csv", "south/output/table.csv"]
    assert files[0] == {
        "name": "north/output/table.csv",
        "id": newer.pk,
        "url": f"/api/v2/releases/file/{newer.pk}",
        "user": "chris",
        "date": newer.uploaded_at.isoformat().replace("+00:00", "Z"),
        "sha256": hashlib.sha256(TABLE).hexdigest(),
        "size": len(TABLE),
        "is_deleted": False,
        "backend": "north",
        "metadata": {"tool": "airlock"},
        "review": None,
    }
    assert files[1]["id"] == of_south.pk
    assert AuditEvent.objects.filter(action="release_files.listed", actor="ann", category="access").count() == 1


def test_the_files_of_one_release(api: Api, checker: User, reader: User) -> None:
    release = announce(api, listing(listed("a.csv"), listed("b.csv"))).headers["Release-Id"]
    send(api, release, "a.csv")
    delete_file(ReleaseFile.objects.select_related("backend", "workspace__project").get(name="a.csv"), checker, "test")
    session = api.as_person(reader)
    with session:
        files = session.get(f"releases/release/{release}").json()["files"]
    assert [(file["name"], file["is_deleted"]) for file in files] == [("a.csv", True), ("b.csv", False)]


@pytest.mark.parametrize("path", ["releases/workspace/survival", "releases/release/{release}", "releases/file/{file}"])
def test_who_may_see_files(api: Api, checker: User, reader: User, path: str) -> None:
    file = released(api)
    path = path.format(release=file.release_id, file=file.pk)
    unrelated, bot = add_person("eve"), add_person("bot", "ProjectCollaborator", project=api.project, is_bot=True)
    assert api.ask("GET", path).status_code == 403
    assert api.ask("GET", path, "eve:wrong").status_code == 403
    assert api.ask("GET", path, f"eve:{personal_token(unrelated)}").status_code == 403, "of nobody in the project"
    assert api.ask("GET", path, f"eve:{personal_token(reader)}").status_code == 403, "another person's token"
    assert api.ask("GET", path, f"ann:{personal_token(reader, Scope.READ)}").status_code == 403, "not for this"
    assert api.as_backend("GET", path).status_code == 403
    with api.as_person(unrelated) as session:
        assert session.get(path).status_code == 403
    assert api.ask("GET", path, f"bot:{personal_token(bot, Scope.RELEASES)}").status_code == 200
    assert api.ask("GET", path, f"Bearer {personal_token(bot, Scope.RELEASES)}").status_code == 200
    with api.as_person(reader) as session:
        assert session.get(path).status_code == 200


def test_a_hidden_projects_files_are_not_there(api: Api, checker: User) -> None:
    secret = add_project("secret", api.north, is_listed=False)
    add_workspace(secret, "hidden")
    release = announce(api, listing(listed("a.csv")), workspace="hidden").headers["Release-Id"]
    token = f"eve:{personal_token(add_person('eve'))}"
    assert api.ask("GET", "releases/workspace/hidden", token).status_code == 404
    assert api.ask("GET", f"releases/release/{release}", token).status_code == 404
    assert api.ask("GET", f"releases/file/{ReleaseFile.objects.get().pk}", token).status_code == 404


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.csv", "text/csv; charset=utf-8"),
        ("a.HTML", "text/html; charset=utf-8"),
        ("a.svg", "image/svg+xml"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.exe", "application/octet-stream"),
    ],
)
def test_bytes_can_do_nothing_on_this_site(api: Api, checker: User, reader: User, name: str, content_type: str) -> None:
    file = released(api, name, b"<script>alert(1)</script>")
    answer = api.ask("GET", f"releases/file/{file.pk}", f"ann:{personal_token(reader)}")
    assert answer.content == b"<script>alert(1)</script>"
    headers = answer.headers
    assert headers["Content-Type"] == content_type
    assert headers["Content-Security-Policy"].split(";")[0] == "sandbox"
    assert headers["X-Content-Type-Options"] == "nosniff"
    # What a browser cannot show is saved, never opened.
    shown = "attachment" if name.endswith(".exe") else "inline"
    assert headers["Content-Disposition"] == f'{shown}; filename="north.{name}"'
    assert headers["Last-Modified"].endswith("GMT")
    assert headers["Cache-Control"] == "private, no-store"
    event = AuditEvent.objects.get(action="release_file.downloaded")
    assert (event.actor, event.category, event.subject) == ("ann", "access", f"north/{name} ({file.pk})")
    head = api.ask("HEAD", f"releases/file/{file.pk}", f"ann:{personal_token(reader)}")
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", "25")


def test_a_file_without_bytes_is_404_with_the_reason(api: Api, checker: User, reader: User, workdir: Path) -> None:
    token = f"ann:{personal_token(reader)}"
    file = released(api)
    release = announce(api, listing(listed("later.csv"))).headers["Release-Id"]
    later = ReleaseFile.objects.get(release=release)

    def detail(file_id: str) -> tuple[int, str]:
        answer = api.ask("GET", f"releases/file/{file_id}", token)
        return answer.status_code, answer.json()["detail"]

    assert detail(later.pk) == (404, "File not yet uploaded")
    path = workdir / "releases" / file.path
    path.unlink()
    assert detail(file.pk) == (404, "The file's bytes are missing. Tell those who run this site.")
    path.write_bytes(TABLE)
    delete_file(ReleaseFile.objects.select_related("backend", "workspace__project").get(pk=file.pk), checker, "a test")
    assert not path.exists()
    assert detail(file.pk) == (404, "The file was deleted.")
    assert ReleaseFile.objects.get(pk=file.pk).deleted_by == checker
    assert detail("nothing")[0] == 404


def test_a_proxy_sends_the_bytes_where_the_site_says_so(
    api: Api, checker: User, reader: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from carrel.jobserver import settings

    file = released(api, "output/a b.csv")
    headers = {"Releases-Redirect": "/internal/"}
    token = f"ann:{personal_token(reader)}"
    path = f"releases/file/{file.pk}"
    assert api.ask("GET", path, token, headers=headers).content == TABLE, "nobody else may choose where"
    monkeypatch.setenv("RELEASES_REDIRECT", "/internal/")
    settings.get.cache_clear()
    answer = api.ask("GET", path, token, headers=headers)
    assert answer.content == b""
    assert answer.headers["X-Accel-Redirect"] == f"/internal/north/survival/{file.release_id}/output/a%20b.csv"
    assert api.ask("GET", path, token).content == TABLE


# -- POST releases/release/<id>/reviews


def test_a_review_is_stored_for_each_file_at_the_same_moment(api: Api, checker: User) -> None:
    release = announce(api, listing(listed("a.csv"), listed("b.csv"))).headers["Release-Id"]
    approved = {"status": "APPROVED", "comments": {"note": "fine"}}
    rejected = {"status": "REJECTED", "comments": "small numbers"}
    body = listing(listed("a.csv", review=approved), listed("b.csv", review=rejected))
    body["review"] = {"status": "REJECTED", "comments": {}}
    answer = api.as_backend("POST", f"releases/release/{release}/reviews", user="chris", json=body)
    assert (answer.status_code, answer.content) == (200, b"")
    reviews = ReleaseFileReview.objects.order_by("release_file__name")
    assert [(row.status, row.comments) for row in reviews] == [
        ("APPROVED", {"note": "fine"}),
        ("REJECTED", "small numbers"),
    ]
    assert len({row.created_at for row in reviews}) == 1
    assert Release.objects.get().status == "REJECTED"
    with api.as_person(checker) as session:
        assert session.post(f"releases/release/{release}/reviews", json=body).status_code == 200
        del session.headers["X-CSRFToken"]
        assert session.post(f"releases/release/{release}/reviews", json=body).status_code == 403


def test_who_may_review(api: Api, checker: User, reader: User) -> None:
    release = announce(api, listing(listed("a.csv"))).headers["Release-Id"]
    body = listing(listed("a.csv", review={"status": "APPROVED", "comments": None}))
    path = f"releases/release/{release}/reviews"
    for person in (reader, add_person("eve")):
        with api.as_person(person) as session:
            assert session.post(path, json=body).status_code == 403
    assert api.as_backend("POST", path, json=body).status_code == 403
    assert api.as_backend("POST", path, "south", user="chris", json=body).status_code == 403
    assert api.ask("POST", path, f"chris:{personal_token(checker)}", json=body).status_code == 403
    assert not ReleaseFileReview.objects.exists()


@pytest.mark.parametrize(
    ("file", "detail"),
    [
        (listed("x.csv", review={"status": "APPROVED"}), "x.csv: not in this release"),
        (
            listed("a.csv", b"x", review={"status": "APPROVED"}),
            "a.csv: another version than this release's (its hash is another one)",
        ),
        (listed("a.csv"), "a.csv: has no review"),
        (listed("a.csv", review={"status": "REJECTED"}), "a.csv: is rejected without a comment"),
    ],
)
def test_a_review_that_does_not_fit_is_400(api: Api, checker: User, file: dict[str, Any], detail: str) -> None:
    release = announce(api, listing(listed("a.csv"), listed("b.csv"))).headers["Release-Id"]
    body = listing(listed("b.csv", review={"status": "APPROVED"}), file)
    answer = api.as_backend("POST", f"releases/release/{release}/reviews", user="chris", json=body)
    assert (answer.status_code, answer.json()["detail"]) == (400, f"Nothing was stored. {detail}")
    assert not ReleaseFileReview.objects.exists()

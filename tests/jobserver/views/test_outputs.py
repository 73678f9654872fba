"""Pages of what left backends: lists, drafts, decisions, and who may open what."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone
from tests.support.jobserver import add_backend, add_person, add_project, add_workspace, browse

from carrel.jobserver.models import AuditEvent, BackendMembership, ReleaseFile, User, Workspace
from carrel.jobserver.service import publications, releases
from carrel.messages.releases import FileList
from carrel.pages.templatetags.pages import day

pytestmark = pytest.mark.django_db
HOME = "/cancer/survival"


@pytest.fixture(autouse=True)
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from carrel.jobserver import settings

    monkeypatch.setenv("RELEASE_STORAGE", str(tmp_path / "releases"))
    settings.get.cache_clear()
    yield
    settings.get.cache_clear()


@pytest.fixture
def checker() -> User:
    return add_person("chris", "OutputChecker")


@pytest.fixture
def workspace(checker: User) -> Workspace:
    backends = [add_backend(slug) for slug in ("north", "south")]
    for backend in backends:
        BackendMembership.objects.create(backend=backend, user=checker)
    return add_workspace(add_project("cancer", *backends), "survival")


def release(workspace: Workspace, checker: User, backend: str, name: str, contents: bytes = b"a,b\n") -> ReleaseFile:
    place = workspace.project.backends.get(slug=backend)
    digest = hashlib.sha256(contents).hexdigest()
    file = {"name": name, "size": len(contents), "sha256": digest, "date": "2026-05-03T09:00:00Z"}
    row, _ = releases.create_release(workspace, place, checker, FileList.model_validate({"files": [file]}), checker)
    return releases.store_file(row, place, name, [contents], checker, checker)


def test_outputs_name_the_backend_of_each_file(workspace: Workspace, checker: User) -> None:
    reader = add_person("ann", "ProjectCollaborator", project=workspace.project)
    assert "Nothing has been released" in browse(reader).get(f"{HOME}/outputs/").content.decode()
    files = [release(workspace, checker, backend, "output/t.csv") for backend in ("north", "south")]
    page = browse(reader).get(f"{HOME}/outputs/").content.decode()
    assert "north/output/t.csv" in page
    assert "south/output/t.csv" in page
    assert "Draft a publication" not in page, "readers draft nothing"
    answer = browse(reader).get(f"{HOME}/outputs/{files[0].pk}/")
    assert b"".join(answer.streaming_content) == b"a,b\n"
    assert answer["Content-Security-Policy"].startswith("sandbox")
    assert AuditEvent.objects.filter(action="release_file.viewed", actor="ann").count() == 1
    assert browse(add_person("eve")).get(f"{HOME}/outputs/").status_code == 403
    assert browse(add_person("fay")).get(f"{HOME}/outputs/{files[0].pk}/").status_code == 403
    assert browse(reader).post(f"{HOME}/outputs/", {"file": files[0].pk}).status_code == 403


def test_the_list_of_releases_is_public_but_not_what_is_in_them(workspace: Workspace, checker: User) -> None:
    file = release(workspace, checker, "north", "secret-name.csv")
    page = browse().get(f"{HOME}/releases/").content.decode()
    assert file.release_id in page
    assert f"releases/{file.release_id}/" not in page
    assert "1 of 1" not in page
    assert browse().get(f"{HOME}/releases/{file.release_id}/").status_code == 302, "sign in first"
    of_checker = browse(checker).get(f"{HOME}/releases/").content.decode()
    assert "1 of 1" in of_checker
    assert "secret-name.csv" in browse(checker).get(f"{HOME}/releases/{file.release_id}/").content.decode()
    assert browse(checker).get(f"{HOME}/releases/nothing/").status_code == 404


def test_deleting_asks_first_and_stays_on_record(workspace: Workspace, checker: User) -> None:
    file = release(workspace, checker, "north", "t.csv")
    url = f"{HOME}/releases/{file.release_id}/{file.pk}/delete/"
    developer = add_person("ann", "ProjectDeveloper", project=workspace.project)
    assert browse(developer).post(url).status_code == 403
    assert "Delete north/t.csv?" in browse(checker).get(url).content.decode()
    assert releases.path_of(file).exists()
    answer = browse(checker).post(url, follow=True)
    assert "Deleted by Chris" in answer.content.decode()
    assert not releases.path_of(file).exists()
    assert browse(checker).get(f"{HOME}/outputs/{file.pk}/").status_code == 404
    assert AuditEvent.objects.get(action="release_file.deleted").actor == "chris"


def test_a_draft_goes_to_a_publisher_who_decides(workspace: Workspace, checker: User) -> None:
    author = add_person("ann", "ProjectDeveloper", project=workspace.project)
    publisher = add_person("pat", "OutputPublisher")
    file = release(workspace, checker, "north", "t.csv")
    nothing = browse(author).post(f"{HOME}/outputs/", follow=True)
    assert "Choose the files first." in nothing.content.decode()
    drafted = browse(author).post(f"{HOME}/outputs/", {"file": file.pk})
    assert drafted.status_code == 303
    url = drafted["Location"]
    assert "it waits for a publisher" in browse(author).get(url).content.decode()
    assert browse(author).post(f"{url}decide/", {"decision": "approve"}).status_code == 403
    to_decide_about = browse(publisher).get(f"{HOME}/outputs/{file.pk}/")
    assert b"".join(to_decide_about.streaming_content) == b"a,b\n"
    assert browse().get(url).status_code == 403
    refused = browse(publisher).post(f"{url}decide/", {"decision": "reject", "reason": ""}, follow=True)
    assert "Say why" in refused.content.decode()
    shown = browse(publisher).post(f"{url}decide/", {"decision": "approve"}, follow=True).content.decode()
    assert "It is public" in shown
    assert browse(publisher).get(f"{HOME}/outputs/{file.pk}/").status_code == 403, "nothing to decide any more"
    public = browse().get(url).content.decode()
    assert "How to cite it" in public
    assert f"of survival, published {day(timezone.now())}. {settings.JOBSERVER_URL}{url}" in public
    assert "Public" in browse(author).get(f"{HOME}/outputs/").content.decode()
    assert f"{HOME}/published/{file.pk}/" in public
    assert "north/t.csv" in browse().get(f"{HOME}/published/").content.decode()
    assert b"".join(browse().get(f"{HOME}/published/{file.pk}/").streaming_content) == b"a,b\n"
    taken = browse(publisher).post(f"{url}decide/", {"decision": "unpublish", "reason": "wrong file"}, follow=True)
    assert "not public" in taken.content.decode()
    assert browse().get(f"{HOME}/published/{file.pk}/").status_code == 404
    assert browse().get(url).status_code == 403
    assert "Nothing is published" in browse().get(f"{HOME}/published/").content.decode()
    assert browse(publisher).post(f"{url}decide/", {"decision": "junk\0"}).status_code == 303


def test_a_list_of_many_files_asks_no_more_questions(
    workspace: Workspace, checker: User, django_assert_max_num_queries
) -> None:
    author = add_person("ann", "ProjectDeveloper", project=workspace.project)
    for number in range(12):
        file = release(workspace, checker, "north", f"t{number}.csv")
        publications.draft(workspace, [file.pk], author, author)
    client = browse(author)
    with django_assert_max_num_queries(20):
        client.get(f"{HOME}/outputs/")
    with django_assert_max_num_queries(20):
        client.get(f"{HOME}/releases/")
    with django_assert_max_num_queries(20):
        client.get(f"{HOME}/releases/{file.release_id}/")


@pytest.mark.parametrize("path", ["snapshots/99999999999999999999/", "snapshots/1/", "outputs/x/", "published/x/"])
def test_what_is_not_there(workspace: Workspace, checker: User, path: str) -> None:
    assert browse(checker).get(f"{HOME}/{path}").status_code == 404


def test_the_public_reads_no_more_of_a_publication_than_the_decision_that_holds(
    workspace: Workspace, checker: User
) -> None:
    """Why it was rejected before, or taken back, tells what was wrong with it: that is for its people."""
    author = add_person("ann", "ProjectDeveloper", project=workspace.project)
    publisher = add_person("pat", "OutputPublisher")
    file = release(workspace, checker, "north", "t.csv")
    for decide in (publications.reject, publications.unpublish):
        snapshot = publications.draft(workspace, [file.pk], author, author)
        if decide is publications.unpublish:
            publications.approve(snapshot, publisher, publisher)
        decide(snapshot, "Row three names one person.", publisher, publisher)
    snapshot = publications.draft(workspace, [file.pk], author, author)
    publications.approve(snapshot, publisher, publisher)
    url = f"{HOME}/snapshots/{snapshot.pk}/"
    public = browse().get(url).content.decode()
    assert "Approved by Pat" in public
    assert "Row three" not in public
    assert browse(author).get(url).content.decode().count("Row three") == 2


@pytest.mark.parametrize(("is_listed", "kept"), [(True, "public, max-age=60"), (False, "private, no-store")])
def test_caches_that_others_share_keep_only_what_everybody_may_open(
    workspace: Workspace, checker: User, is_listed: bool, kept: str
) -> None:
    project = workspace.project
    project.is_listed = is_listed
    project.save()
    author = add_person("ann", "ProjectDeveloper", project=project)
    file = release(workspace, checker, "north", "t.csv")
    publications.approve(publications.draft(workspace, [file.pk], author, author), author, author)
    answer = browse(author).get(f"{HOME}/published/{file.pk}/")
    assert (b"".join(answer.streaming_content), answer["Cache-Control"]) == (b"a,b\n", kept)

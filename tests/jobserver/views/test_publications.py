"""From a draft to a public page and back: who decides, who is told, and what a stranger still finds."""

import pytest
from django.conf import LazySettings
from django.utils import timezone
from tests.jobserver.views.test_outputs import HOME, checker, release, storage, workspace
from tests.support.jobserver import add_person, browse

from carrel.jobserver.models import OutgoingMessage, ReleaseFile, User, Workspace
from carrel.jobserver.publishing import changes, citation, origin_of
from carrel.jobserver.service import publications
from carrel.pages.templatetags.pages import day

pytestmark = pytest.mark.django_db
__all__ = ["checker", "storage", "workspace"]
QUEUE = "/staff/publications/"
COMMIT = "3fa9c1e2" * 5


@pytest.fixture
def author(workspace: Workspace) -> User:
    return add_person("ann", "ProjectDeveloper", project=workspace.project)


@pytest.fixture
def publisher() -> User:
    return add_person("pat", "OutputPublisher")


def test_a_draft_goes_to_a_publisher_who_decides(
    workspace: Workspace, checker: User, author: User, publisher: User, settings: LazySettings
) -> None:
    settings.EMAIL_HOST = "mail.example.org"
    file = release(workspace, checker, "north", "t.csv")
    ReleaseFile.objects.update(metadata={"commit": COMMIT, "action": "count", "job_id": 7})
    nothing = browse(author).post(f"{HOME}/outputs/", follow=True)
    assert "Choose the files first." in nothing.content.decode()
    drafted = browse(author).post(f"{HOME}/outputs/", {"file": file.pk})
    assert drafted.status_code == 303
    url = drafted["Location"]
    assert "it waits for a publisher" in browse(author).get(url).content.decode()
    assert browse(author).post(f"{url}decide/", {"decision": "approve"}).status_code == 403
    to_decide_about = browse(publisher).get(f"{HOME}/outputs/{file.pk}/bytes/")
    assert b"".join(to_decide_about.streaming_content) == b"a,b\n"
    waiting = browse(publisher).get(QUEUE).content.decode()
    assert "1 draft waits" in waiting
    assert "Nothing of this workspace is public yet" in waiting
    assert browse(author).get(QUEUE).status_code == 403
    refused = browse(publisher).post(f"{url}decide/", {"decision": "reject", "reason": ""}, follow=True)
    assert "Say why" in refused.content.decode()
    shown = browse(publisher).post(f"{url}decide/", {"decision": "approve"}, follow=True).content.decode()
    assert "It is public" in shown
    assert "None waits" in browse(publisher).get(QUEUE).content.decode()
    assert browse(publisher).get(f"{HOME}/outputs/{file.pk}/").status_code == 403, "nothing to decide any more"
    public = browse().get(url).content.decode()
    assert f"survival, version 1. Published {day(timezone.now())}. Outputs of north; code at commit {COMMIT[:12]}." in (
        public
    )
    assert f"{settings.JOBSERVER_URL}{url}" in public
    assert "Drafted by" not in public
    assert "Approved by" not in public
    assert f"{HOME}/published/{file.pk}/" in public
    assert "north/t.csv" in browse().get(f"{HOME}/published/").content.decode()
    answer = browse().get(f"{HOME}/published/{file.pk}/")
    assert b"".join(answer.streaming_content) == b"a,b\n"
    assert answer["Cache-Control"] == "public, no-cache", "a copy elsewhere must not outlive the publication"
    mails = list(OutgoingMessage.objects.order_by("id").values_list("recipient__username", "subject"))
    assert mails == [("pat", "To publish: survival"), ("ann", "survival: published")]


def test_what_is_taken_back_is_as_if_it_never_was(
    workspace: Workspace, checker: User, author: User, publisher: User
) -> None:
    files = [release(workspace, checker, backend, "t.csv") for backend in ("north", "south")]
    snapshots = [publications.draft(workspace, [file.pk], author, author) for file in files]
    for snapshot in snapshots:
        publications.approve(snapshot, publisher, publisher)
    urls = [f"{HOME}/snapshots/{snapshot.pk}/" for snapshot in snapshots]
    stranger, back = browse(), {"decision": "unpublish", "reason": "Row 3 was wrong."}
    assert "Version 1" in stranger.get(urls[1]).content.decode()
    assert "not public any more" in browse(publisher).post(f"{urls[0]}decide/", back, follow=True).content.decode()
    never = stranger.get(f"{HOME}/snapshots/999/")
    for url in (urls[0], f"{HOME}/published/{files[0].pk}/"):
        assert stranger.get(url).status_code == never.status_code == 404
    for url in (f"{HOME}/published/", urls[1], "/register/"):
        page = stranger.get(url).content.decode()
        assert "north/t.csv" not in page
        assert "Row 3" not in page
    assert stranger.get(urls[1]).status_code == 200, "other versions keep their address and number"
    assert (
        "Say why"
        in browse(publisher)
        .post(f"{urls[1]}decide/", {"decision": "unpublish", "tell": "yes"}, follow=True)
        .content.decode()
    )
    browse(publisher).post(f"{urls[1]}decide/", {**back, "tell": "yes"})
    page = stranger.get(f"{HOME}/published/").content.decode()
    assert "Nothing is published" in page
    assert f"Version 2, on {day(timezone.now())}" in page
    assert "Row 3 was wrong." in page
    assert "south/t.csv" not in page
    again = publications.draft(workspace, [files[1].pk], author, author)
    publications.approve(again, publisher, publisher)
    assert "Row 3" not in stranger.get(f"{HOME}/published/").content.decode()
    assert "version 2" in stranger.get(urls[1]).content.decode(), "public again, it is the same version"
    assert browse(publisher).post(f"{urls[1]}decide/", {"decision": "junk\0"}).status_code == 303


def test_a_draft_says_what_it_changes(
    workspace: Workspace, checker: User, author: User, publisher: User, django_assert_max_num_queries
) -> None:
    old = [release(workspace, checker, "north", name) for name in ("a.csv", "b.csv")]
    publications.approve(publications.draft(workspace, [file.pk for file in old], author, author), publisher, publisher)
    new = [release(workspace, checker, "north", "a.csv", b"c\n"), release(workspace, checker, "south", "a.csv")]
    for number in range(6):
        file = release(workspace, checker, "north", f"t{number}.csv")
        publications.draft(workspace, [file.pk], author, author)
    draft = publications.draft(workspace, [file.pk for file in new], author, author)
    client = browse(publisher)
    with django_assert_max_num_queries(18):
        assert "1 new, 1 changed, 1 left out" in client.get(QUEUE).content.decode()
    page = client.get(f"{HOME}/snapshots/{draft.pk}/").content.decode()
    assert "1 new, 1 changed, 1 left out" in page
    assert "In version 1 and not here: north/b.csv" in page


def test_what_a_publication_is_beside_its_files() -> None:
    assert changes({"n/a": "1"}, {"n/a": "1"}).words() == "1 as published"
    assert changes({}, {}).words() == "no file"
    assert origin_of({"commit": "../../x", "action": 7}).commit == ""
    said = citation(
        project="Cancer",
        workspace="survival",
        version=3,
        published_at=timezone.now(),
        backends=["north", "south"],
        commits=["b" * 40, "a" * 40, "a" * 40, ""],
        address="https://x/",
    )
    assert f"Outputs of north and south; code at commit {'a' * 12} and {'b' * 12}. https://x/" in said


def test_the_public_reads_no_reason_of_a_decision_that_no_longer_holds(workspace: Workspace, checker: User) -> None:
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
    assert "Row three" not in browse().get(url).content.decode()
    assert browse(author).get(url).content.decode().count("Row three") == 2


@pytest.mark.parametrize(("is_listed", "kept"), [(True, "public, no-cache"), (False, "private, no-store")])
def test_caches_that_others_share_keep_only_what_everybody_may_open(
    workspace: Workspace, checker: User, is_listed: bool, kept: str
) -> None:
    project = workspace.project
    project.is_listed = is_listed
    project.save()
    author = add_person("ann", "ProjectDeveloper", project=project)
    publisher = add_person("pat", "OutputPublisher")
    file = release(workspace, checker, "north", "t.csv")
    publications.approve(publications.draft(workspace, [file.pk], author, author), publisher, publisher)
    answer = browse(author).get(f"{HOME}/published/{file.pk}/")
    assert (b"".join(answer.streaming_content), answer["Cache-Control"]) == (b"a,b\n", kept)

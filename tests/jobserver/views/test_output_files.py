"""The page of one released file: its contents, versions, comparisons, the same file on other backends, its bytes."""

import pytest
from tests.jobserver.views.test_outputs import HOME, checker, release, storage, workspace
from tests.support.jobserver import add_person, browse

from carrel.jobserver.models import AuditEvent, ReleaseFile, User, Workspace

pytestmark = pytest.mark.django_db
__all__ = ["checker", "storage", "workspace"]


def test_a_file_its_versions_and_its_likes(workspace: Workspace, checker: User, django_assert_max_num_queries) -> None:
    reader = browse(add_person("ann", "ProjectCollaborator", project=workspace.project))
    old = release(workspace, checker, "north", "t.csv", b"plan,visits\na,100\nb,200\n")
    new = release(workspace, checker, "north", "t.csv", b"plan,visits\na,100\nb,203\n")
    south = release(workspace, checker, "south", "t.csv", b"plan,visits\na,900\n<script>,2\n")
    ReleaseFile.objects.filter(pk=new.pk).update(metadata={"commit": "ab" * 20, "action": "count", "job_id": "gone"})
    url = f"{HOME}/outputs/{new.pk}/"
    with django_assert_max_num_queries(20):
        page = reader.get(url).content.decode()
    assert "<td>203</td>" in page
    assert "abababa" in page
    assert f"?compare={old.pk}" in page
    assert "Side by side on 2 backends" in page
    compared = reader.get(f"{url}?compare={old.pk}").content.decode()
    assert '<span class="was">200</span> 203' in compared
    assert "1 difference between the versions is itself a small number" in compared
    beside = reader.get(f"{url}?beside=backends").content.decode()
    assert "<td>203</td>" in beside
    assert "<td>900</td>" in beside
    assert "&lt;script&gt;" in beside
    assert reader.get(f"{url}?compare={south.pk}").status_code == 200
    assert reader.get(f"{url}?compare=nothing").status_code == 404
    assert browse(add_person("eve")).get(url).status_code == 403
    seen = AuditEvent.objects.filter(action="release_file.viewed", actor="ann").values_list("subject", flat=True)
    assert f"south/t.csv ({south.pk})" in set(seen)
    assert f"north/t.csv ({old.pk})" in set(seen)
    listed = reader.get(f"{HOME}/outputs/?q=south").content.decode()
    assert south.pk in listed
    assert new.pk not in listed
    assert new.pk in reader.get(f"{HOME}/outputs/?q=abab+north").content.decode()
    assert "No released file fits" in reader.get(f"{HOME}/outputs/?q=nowhere").content.decode()


@pytest.mark.parametrize(
    ("name", "shown", "disposition"),
    [
        ("r.html", '<iframe class="released" sandbox=""', "inline"),
        ("r.svg", '<img class="released"', "inline"),
        ("r.pdf", "download it", "attachment"),
        ("r.exe", "download it", "attachment"),
    ],
)
def test_nothing_in_a_file_can_run(
    workspace: Workspace, checker: User, name: str, shown: str, disposition: str
) -> None:
    file = release(workspace, checker, "north", name, b"<script>alert(1)</script>")
    page = browse(checker).get(f"{HOME}/outputs/{file.pk}/")
    assert shown in page.content.decode()
    assert "alert(1)" not in page.content.decode()
    assert "frame-src 'self'" in page["Content-Security-Policy"]
    answer = browse(checker).get(f"{HOME}/outputs/{file.pk}/bytes/")
    assert b"".join(answer.streaming_content) == b"<script>alert(1)</script>"
    assert answer["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"].startswith(disposition)

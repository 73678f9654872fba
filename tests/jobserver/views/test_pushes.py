"""A release on a branch of the study's repository: from its page, and by a command."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from tests.jobserver.views.test_outputs import HOME, checker, release, storage, workspace
from tests.repos.conftest import Repo, repo
from tests.support.jobserver import add_person, browse

from carrel.jobserver import settings
from carrel.jobserver.models import AuditEvent, User, Workspace
from carrel.jobserver.service import publications, releases

pytestmark = pytest.mark.django_db
__all__ = ["checker", "repo", "storage", "workspace"]
BRANCH = "released-outputs"


@pytest.fixture
def study(workspace: Workspace, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    monkeypatch.setenv("WORKDIR", str(tmp_path / "workdir"))
    monkeypatch.setenv("ALLOW_LOCAL_GIT_REPOS", "true")
    settings.get.cache_clear()
    Workspace.objects.filter(pk=workspace.pk).update(repo_url=repo.url)
    workspace.refresh_from_db()
    return repo


def test_from_the_page_by_those_who_publish(workspace: Workspace, checker: User, study: Repo) -> None:
    file = release(workspace, checker, "north", "output/t.csv")
    url = f"{HOME}/releases/{file.release_id}/push/"
    assert browse(checker).post(url).status_code == 403
    publisher = add_person("pat", "OutputPublisher", "ProjectCollaborator")
    client = browse(publisher)
    assert "taking a publication back does not remove them" in client.get(url).content.decode()
    assert "Pushed as commit" in client.post(url, follow=True).content.decode()
    assert "has these files already" in client.post(url, follow=True).content.decode()
    assert study.git("show", f"{BRANCH}:released_outputs/north/output/t.csv") == "a,b"
    readme = study.git("show", f"{BRANCH}:README.md")
    assert f"| released_outputs/north/output/t.csv | north | 4 |  |  | {file.release_id} |" in readme
    assert f"Release: {file.release_id}" in study.git("log", "-1", "--format=%B", BRANCH)
    assert AuditEvent.objects.filter(action="release.pushed", actor="pat").count() == 2
    south = release(workspace, checker, "south", "output/t.csv", b"c\n")
    draft = publications.draft(workspace, [file.pk, south.pk], checker, checker)
    path = f"{HOME}/snapshots/{draft.pk}/push/"
    assert client.post(path).status_code == 404, "a draft is pushed nowhere"
    publications.approve(draft, publisher, publisher)
    assert "Pushed as commit" in client.post(path, follow=True).content.decode()
    assert study.git("show", f"{BRANCH}:released_outputs/south/output/t.csv") == "c"


def test_by_command(workspace: Workspace, checker: User, study: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    file = release(workspace, checker, "north", "t.csv")
    out = StringIO()
    call_command("push_release", file.release_id, stdout=out)
    call_command("push_release", file.release_id, stdout=out)
    commit = study.git("rev-parse", BRANCH)
    assert out.getvalue() == f"Pushed as commit {commit}.\nAlready there, at commit {commit}.\n"
    with pytest.raises(CommandError, match="There is no release"):
        call_command("push_release", "nothing")
    releases.path_of(file).write_bytes(b"other bytes")
    with pytest.raises(CommandError, match="not those that were released"):
        call_command("push_release", file.release_id)
    monkeypatch.setenv("RELEASE_BRANCH", workspace.branch)
    settings.get.cache_clear()
    with pytest.raises(CommandError, match="the study's code"):
        call_command("push_release", file.release_id)
    monkeypatch.setenv("RELEASE_BRANCH", BRANCH)
    settings.get.cache_clear()
    releases.delete_file(file, checker, checker)
    with pytest.raises(CommandError, match="None of these files"):
        call_command("push_release", file.release_id)

"""Closing a project and deleting it after its retention, with what the audit log keeps."""

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.utils import timezone
from tests.support.jobserver import add_backend, add_job, add_person, add_project, add_request, add_run, add_workspace

from carrel.jobserver import settings
from carrel.jobserver.models import AuditEvent, Job, Project, Release, ReleaseFile, RunGroup, User, Workspace
from carrel.jobserver.service import closing
from carrel.jobserver.service.projects import create_workspace

pytestmark = pytest.mark.django_db
LONG_AGO = timezone.now() - timedelta(days=4000)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Project, User, ReleaseFile]:
    """A project that was closed long ago, with a run, a job and a released file; and another beside it."""
    monkeypatch.setenv("WORKDIR", str(tmp_path))
    settings.get.cache_clear()
    north = add_backend("north")
    staff = add_person("sam")
    for slug in ("other", "alpha"):
        closed = {"archived_at": LONG_AGO, "archived_by": staff} if slug == "alpha" else {}
        project = add_project(slug, north, purpose="To see", **closed)
        person = add_person(f"p-{slug}", "ProjectLead", project=project)
        workspace = add_workspace(project, f"study-{slug}")
        add_job(add_request(add_run(workspace, person), north, status="succeeded"), "extract")
    release = Release.objects.create(id="R1", workspace=workspace, backend=north, created_by=person)
    sha256 = hashlib.sha256(b"a").hexdigest()
    file = ReleaseFile.objects.create(
        id="F1", release=release, workspace=workspace, backend=north, name="a.csv", sha256=sha256, size=1,
        path="study/R1/a.csv", modified_at=LONG_AGO, created_by=person, uploaded_at=LONG_AGO,
    )  # fmt: skip
    path = settings.get().releases / file.path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"a")
    yield project, staff, file
    settings.get.cache_clear()


def test_it_is_deleted_with_all_that_it_ran_and_released(site: tuple[Project, User, ReleaseFile]) -> None:
    project, staff, file = site
    path = settings.get().releases / file.path
    counts = closing.delete_project(project, staff)
    assert counts["jobs"] == 1
    assert not path.exists()
    assert [row.slug for row in Project.objects.all()] == ["other"]
    assert (Workspace.objects.count(), RunGroup.objects.count(), Job.objects.count()) == (1, 1, 1)
    event = AuditEvent.objects.get(action="project.deleted")
    assert event.actor == "sam"
    assert event.old["workspaces"] == ["study-alpha"]
    assert event.old["purpose"] == "To see"
    assert AuditEvent.objects.filter(action="release_file.deleted").count() == 1


def test_the_name_of_a_deleted_workspace_is_never_given_again(site: tuple[Project, User, ReleaseFile]) -> None:
    """Backends keep the outputs in a folder of this name, which another project would come to read."""
    project, staff, _ = site
    closing.delete_project(project, staff)
    assert AuditEvent.objects.get(action="workspace.deleted").subject == "study-alpha"
    for name in ("study-alpha", " Study-Alpha "):
        with pytest.raises(ValidationError, match="that is deleted"):
            create_workspace(Project.objects.get(slug="other"), name, "", "main", "", staff)


def test_what_must_not_be_deleted(site: tuple[Project, User, ReleaseFile]) -> None:
    project, staff, _ = site
    with pytest.raises(ValidationError, match="Close the project first"):
        closing.delete_project(Project.objects.get(slug="other"), staff)
    project.archived_at = timezone.now() - timedelta(days=10)
    with pytest.raises(ValidationError, match="Its retention lasts until"):
        closing.delete_project(project, staff)
    project.archived_at = LONG_AGO
    add_request(RunGroup.objects.get(workspace__project=project), add_backend("south"), status="running")
    with pytest.raises(ValidationError, match="Something of it runs"):
        closing.delete_project(project, staff)
    assert Project.objects.count() == 2


def test_the_command(site: tuple[Project, User, ReleaseFile], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("close_project", "other", "--by", "sam", "--reason", "finished")
    assert "read-only" in capsys.readouterr().out
    assert AuditEvent.objects.get(action="project.closed").new == {"reason": "finished"}
    with pytest.raises(CommandError, match="retention"):
        call_command("close_project", "other", "--by", "sam", "--delete", "-y")
    call_command("close_project", "alpha", "--by", "sam", "--delete", "-y")
    assert "1 jobs" in capsys.readouterr().out
    for arguments in (("missing", "--by", "sam"), ("other", "--by", "missing")):
        with pytest.raises(CommandError, match="There is no"):
            call_command("close_project", *arguments)

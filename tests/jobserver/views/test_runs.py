"""Pages of a run: how it stands on each backend, live parts, cancelling, running again, code, who sees what."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from tests.support.jobserver import (
    START,
    add_backend,
    add_job,
    add_person,
    add_project,
    add_request,
    add_run,
    add_workspace,
    browse,
)
from tests.support.studies import make_study, study_site

from carrel.jobserver.models import ControllerContact, Job, JobRequest, ProjectDefinition, RunGroup, Workspace

__all__ = ["study_site"]
pytestmark = pytest.mark.django_db

DEFINITION = """version: 4
actions:
  extract:
    run: ehrql:v1 generate-dataset extract.py --output output/extract.csv.gz
    outputs:
      highly_sensitive:
        dataset: output/extract.csv.gz
  model:
    run: python:v2 model.py
    needs: [extract]
    outputs:
      moderately_sensitive:
        table: output/model.csv
"""


def text(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, (path, answer.status_code)
    return answer.content.decode()


class Scene:
    """A run on north (all well, one reused) and south (a failure), and the run before it."""

    def __init__(self) -> None:
        self.north, self.south = add_backend("north", position=1), add_backend("south", position=2)
        self.hidden = add_backend("clandestine", is_listed=False, position=3)
        self.project = add_project("alpha", self.north, self.south)
        self.ann = add_person("ann", "ProjectDeveloper", project=self.project)
        self.workspace = add_workspace(self.project, "study")
        definition = ProjectDefinition.objects.create(digest="d1", text=DEFINITION)
        self.earlier = add_run(self.workspace, self.ann, commit="a" * 40)
        old = add_request(self.earlier, self.south, status="succeeded")
        add_job(old, "model", "succeeded", created_at=START - timedelta(days=1))
        self.run = add_run(self.workspace, self.ann, definition=definition)
        self.on_north = add_request(self.run, self.north, status="running", reused={"extract": "job0"})
        self.on_south = add_request(self.run, self.south, status="failed", status_message="Failed due to job failure")
        started = timezone.now() - timedelta(minutes=2)
        self.running = add_job(self.on_north, "model", "running", created_at=started, started_at=started)
        self.failed = add_job(self.on_south, "model", "failed", status_message="Job exited with an error: code 1")
        self.stopped = add_job(self.on_south, "extract", "failed", status_code="dependency_failed")
        self.url = f"/alpha/study/{self.run.pk}/"


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_how_it_stands(scene: Scene) -> None:
    page = text(browse(scene.ann), scene.url)
    assert "0 of 3 jobs done, 1 failed, 1 running, 1 stopped or not started." in page
    assert "<title>0 of 3 done · study · carrel</title>" in page
    assert page.index('id="on-north"') < page.index('id="on-south"')
    assert "extract · reused" in page
    assert "1 failed" in page
    assert "read metadata/model.log at level 4" in page
    assert "Re-run failed" in page
    assert "the previous run" in page
    assert f'href="{scene.url}{scene.failed.identifier}/"' in page


def test_a_stranger_sees_how_it_stands_and_may_do_nothing(scene: Scene) -> None:
    page = text(browse(), scene.url)
    assert "1 failed" in page
    for words in ("Cancel", "Run again", "Re-run", "the previous run", "definition/"):
        assert words not in page


def test_a_backend_that_somebody_may_not_know_of_is_not_there(scene: Scene) -> None:
    request = add_request(scene.run, scene.hidden, status="running")
    add_job(request, "secret_action", "running")
    assert "secret_action" not in text(browse(scene.ann), scene.url)
    assert "clandestine" not in text(browse(scene.ann), f"{scene.url}parts/")
    alone = add_run(scene.workspace, scene.ann)
    add_request(alone, scene.hidden)
    assert browse(scene.ann).get(f"/alpha/study/{alone.pk}/").status_code == 404
    assert browse(scene.ann).get(f"{scene.url}cancel/?backend=clandestine").status_code == 404


def test_live_parts(scene: Scene) -> None:
    client = browse(scene.ann)
    first = client.get(f"{scene.url}parts/")
    assert first.status_code == 200
    assert first.content.decode().startswith("<title>0 of 3 done")
    JobRequest.objects.filter(run=scene.run).update(status="succeeded")
    assert client.get(f"{scene.url}parts/", headers={"If-None-Match": first["ETag"]}).status_code == 286
    assert "parts/" not in text(client, scene.url)


def test_a_request_that_cannot_be_sent_says_why_and_when_next(scene: Scene) -> None:
    run = add_run(scene.workspace, scene.ann)
    in_20 = timezone.now() + timedelta(seconds=20)
    words = "The controller of south cannot be reached."
    add_request(run, scene.south, ("model",), sent_at=None, send_attempts=5, send_after=in_20, send_error=words)
    ControllerContact.objects.create(controller="default", failing_since=timezone.now())
    page = text(browse(), f"/alpha/study/{run.pk}/")
    assert words in page
    assert "It is sent again in" in page
    assert "Being sent" in page


def test_a_request_that_was_refused_says_why(scene: Scene) -> None:
    run = add_run(scene.workspace, scene.ann)
    add_request(run, scene.south, ("model",), status="failed", status_message="No project.yaml file found")
    page = text(browse(), f"/alpha/study/{run.pk}/")
    assert "No project.yaml file found" in page
    assert "Refused" in page


def test_queries_do_not_grow_with_jobs_and_backends(scene: Scene) -> None:
    def queries(url: str) -> int:
        client = browse(scene.ann)
        with CaptureQueriesContext(connection) as captured:
            text(client, url)
        return len(captured)

    def run_with(jobs: int, *backends) -> str:
        run = add_run(scene.workspace, scene.ann, definition=scene.run.definition)
        for backend in backends:
            request = add_request(run, backend, status="running")
            for number in range(jobs):
                add_job(request, f"a{number}", "running")
        return f"/alpha/study/{run.pk}/"

    few, many = run_with(2, scene.north), run_with(120, scene.north, scene.south)
    assert queries(few) == queries(many) <= 26
    assert queries(f"{few}parts/") == queries(f"{many}parts/") <= 20


class TestCancelling:
    def test_asks_first_and_then_does(self, scene: Scene) -> None:
        client = browse(scene.ann)
        assert "stopped on north" in text(client, f"{scene.url}cancel/")
        answer = client.post(f"{scene.url}cancel/", follow=True)
        assert "north was asked to cancel model" in answer.content.decode()
        assert "Being cancelled" in answer.content.decode()
        assert scene.on_north.cancellations.count() == 1
        assert "is being cancelled already" in client.post(f"{scene.url}cancel/", follow=True).content.decode()

    def test_whoever_asked_may_cancel_without_any_right(self, scene: Scene) -> None:
        scene.ann.role_assignments.all().delete()
        assert browse(scene.ann).post(f"{scene.url}cancel/").status_code == 303

    def test_what_has_ended_offers_nothing_to_cancel(self, scene: Scene) -> None:
        scene.run.requests.update(status="succeeded")
        answer = browse(scene.ann).get(f"{scene.url}cancel/")
        assert (answer.status_code, answer["Location"]) == (303, scene.url)

    def test_others_need_the_right(self, scene: Scene) -> None:
        other = add_person("bob", "ProjectCollaborator", project=scene.project)
        assert "may cancel it" in text(browse(other), f"{scene.url}cancel/", 403)
        assert browse(other).post(f"{scene.url}cancel/").status_code == 403
        assert browse(add_person("eve", "DeploymentAdministrator")).post(f"{scene.url}cancel/").status_code == 303

    def test_one_job(self, scene: Scene) -> None:
        url = f"{scene.url}{scene.running.identifier}/cancel/"
        client = browse(scene.ann)
        assert "Cancel model on north?" in text(client, url)
        assert "asked to cancel model" in client.post(url, follow=True).content.decode()
        assert scene.on_north.cancellations.get().actions == ["model"]
        ended = client.post(f"{scene.url}{scene.failed.identifier}/cancel/", follow=True)
        assert "nothing to cancel" in ended.content.decode() or "nothing left to cancel" in ended.content.decode()


class TestRunningAgain:
    def test_shows_what_it_would_do(self, scene: Scene) -> None:
        page = text(browse(scene.ann), f"{scene.url}again/?failed")
        assert "<dt>south</dt><dd>model and extract</dd>" in page
        assert "<dt>north</dt>" not in page
        assert "run_all" in text(browse(scene.ann), f"{scene.url}again/")

    def test_says_what_is_in_the_way(self, scene: Scene) -> None:
        answer = browse(scene.ann).post(f"{scene.url}again/", {"submission_key": "k1"})
        assert answer.status_code == 422
        assert "You are not a member of north" in answer.content.decode()
        assert RunGroup.objects.count() == 2

    def test_needs_the_right_to_run(self, scene: Scene) -> None:
        assert browse(add_person("bob", project=scene.project)).get(f"{scene.url}again/").status_code == 403


class TestTheJobsPage:
    def test_what_went_wrong_and_what_to_do(self, scene: Scene) -> None:
        page = text(browse(scene.ann), f"{scene.url}{scene.failed.identifier}/")
        assert "Job exited with an error: code 1" in page
        assert "metadata/model.log" in page
        assert "python:v2 model.py" in page
        assert "output/model.csv" in page
        assert "What changed since it last succeeded" in page
        assert "How long the last runs took" in page

    def test_names_of_outputs_are_for_those_who_may(self, scene: Scene) -> None:
        page = text(browse(), f"{scene.url}{scene.failed.identifier}/")
        assert "output/model.csv" not in page
        assert "What changed" not in page

    def test_nothing_of_another_backend(self, scene: Scene) -> None:
        old_north = add_request(add_run(scene.workspace, scene.ann), scene.north, status="succeeded")
        elsewhere = add_job(old_north, "model", "succeeded", created_at=START - timedelta(hours=1))
        page = text(browse(scene.ann), f"{scene.url}{scene.failed.identifier}/")
        assert elsewhere.identifier not in page

    def test_by_the_beginning_of_its_identifier(self, scene: Scene) -> None:
        Job.objects.filter(pk=scene.failed.pk).update(identifier="unique0123456789")
        assert browse().get("/jobs/unique0/")["Location"] == f"{scene.url}unique0123456789/"
        assert browse().get("/jobs/job0/").status_code == 404
        assert browse().get(f"/job-requests/{scene.on_north.pk}/")["Location"] == scene.url
        secret = add_request(add_run(scene.workspace, scene.ann), scene.hidden)
        assert browse().get(f"/job-requests/{secret.pk}/").status_code == 404

    def test_live_parts_end_with_the_job(self, scene: Scene) -> None:
        client = browse(scene.ann)
        answer = client.get(f"{scene.url}{scene.running.identifier}/parts/")
        assert (answer.status_code, answer.content.decode()[:7]) == (200, "<title>")
        assert client.get(f"{scene.url}{scene.failed.identifier}/parts/").status_code == 286


class TestCode:
    def test_the_file_as_it_was(self, scene: Scene) -> None:
        assert 'id="L8"' in text(browse(scene.ann), f"{scene.url}definition/")
        assert browse(add_person("stranger")).get(f"{scene.url}definition/").status_code == 403

    def test_comparing_is_of_one_backend(self, scene: Scene) -> None:
        page = text(browse(scene.ann), f"{scene.url}compare/?backend=north")
        assert "There is no earlier run of this workspace on north." in page
        scene.earlier.commit = scene.run.commit
        scene.earlier.save()
        page = text(browse(scene.ann), f"{scene.url}compare/?backend=south&since=success")
        assert "The code is the same" in page
        assert browse(add_person("stranger")).get(f"{scene.url}compare/").status_code == 403

    def test_whatever_changed_is_shown_and_does_nothing(self, scene: Scene, study_site: Path) -> None:
        """Renamed, binary, without UTF-8, with markup in it and in its name, with a long line; cut where it is huge."""
        script, markup = "<script>alert(1)</script>", '</pre><img src=x onerror="alert(1)">'
        repo = make_study(study_site / "study", {"old.py": "print(1)\n" * 30, "project.yaml": "a\n"})
        older = repo.git("rev-parse", "HEAD")
        (repo.path / "old.py").rename(repo.path / "new & <b>.py")
        (repo.path / "image.png").write_bytes(bytes(range(256)) * 20)
        (repo.path / "latin.txt").write_bytes("caf\xe9 \x1b[31m\u202e".encode("latin-1", "replace") + b"\xff\x00\r\n")
        (repo.path / "latin1.txt").write_bytes(b"caf\xe9\n")
        (repo.path / f"{script[:7]}.R").write_text(f"{markup}\n{script}\n{'x' * 100_000}\n")
        repo.git("add", "--all")
        repo.git("commit", "--quiet", "--message", "Change all")
        newer = repo.git("rev-parse", "HEAD")
        (repo.path / "huge.csv").write_text("".join(f"{number},row\n" for number in range(400_000)))
        repo.git("add", "--all")
        repo.git("commit", "--quiet", "--message", "Add rows")
        huge = repo.git("rev-parse", "HEAD")
        Workspace.objects.filter(pk=scene.workspace.pk).update(repo_url=repo.url)
        client, url = browse(scene.ann), f"{scene.url}compare/?backend=south&since=success"
        RunGroup.objects.filter(pk=scene.earlier.pk).update(commit=older)
        RunGroup.objects.filter(pk=scene.run.pk).update(commit=newer)
        page = text(client, url)
        assert "new &amp; &lt;b&gt;.py" in page
        assert "Binary files" in page or "binary" in page
        assert "caf\N{REPLACEMENT CHARACTER}" in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert script not in page
        assert "<img src=x" not in page
        RunGroup.objects.filter(pk=scene.run.pk).update(commit=huge)
        page = text(client, url)
        assert "There is more than is shown" in page
        assert len(page) < 4_000_000

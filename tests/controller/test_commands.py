"""Admin commands: output word for word, what they change, and that each leaves an event with who and when."""

import io
import json
import re
import sqlite3
import subprocess
from datetime import datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from tests.support.controller import COMMIT, make_jobs, new_job, results
from tests.support.controller_server import environ_of

from carrel.controller import clock, service
from carrel.controller.management.base import actor
from carrel.controller.models import Event, Flag, Job, Rap, Task, Token

STAMP = r"\(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\)"

pytestmark = pytest.mark.usefixtures("database")


def run(*args: str) -> list[str]:
    out = io.StringIO()
    call_command(*args, stdout=out)
    return out.getvalue().splitlines()


def test_flags_set_get_and_clear():
    (line,) = run("flags", "set", "paused=true", "--backend", "test")
    assert re.fullmatch(rf"\[test\] paused=true {STAMP}", line)
    assert run("flags", "get", "paused", "x", "--backend", "test") == [line, "[test] x=None (never set)"]
    (cleared,) = run("flags", "set", "paused=", "--backend", "test")
    assert re.fullmatch(rf"\[test\] paused=None {STAMP}", cleared)
    assert Event.objects.filter(kind="flag.set", actor=actor(), backend="test").count() == 2


def test_a_flag_set_to_the_value_it_has_keeps_its_time():
    assert run("flags", "set", "a=b", "--backend", "test") == run("flags", "set", "a=b", "--backend", "test")


def test_flags_of_one_backend_are_not_those_of_another():
    run("flags", "set", "paused=true", "--backend", "tpp")
    assert run("flags", "get", "paused", "--backend", "test") == ["[test] paused=None (never set)"]


def test_flags_get_create():
    (line,) = run("flags", "get", "new", "--create", "--backend", "test")
    assert re.fullmatch(rf"\[test\] new=None {STAMP}", line)


@pytest.mark.parametrize("wrong", [["nonsense"], ["=x"]])
def test_flags_refuses_what_is_no_assignment(wrong):
    with pytest.raises(CommandError, match="NAME=VALUE"):
        run("flags", "set", *wrong, "--backend", "test")


def test_an_unknown_backend_is_refused_in_a_sentence():
    with pytest.raises(CommandError, match="'nowhere' is not one of the backends: test, tpp"):
        run("pause", "on", "nowhere")


def test_pause_stops_new_jobs_and_unpause_starts_them_at_once():
    (line,) = run("pause", "on", "test")
    assert re.fullmatch(rf"\[test\] paused=true {STAMP}", line)
    job = make_jobs("a")["a"]
    assert Job.objects.get(pk=job.pk).status_code == "paused"
    run("pause", "off", "test")
    assert Job.objects.get(pk=job.pk).status_code == "initiated"
    assert Event.objects.filter(kind="admin.pause", actor=actor()).count() == 2


def test_db_maintenance_stops_database_jobs_and_lets_them_start_again():
    jobs = make_jobs(new_job("a", requires_db=True), "b")
    lines = run("db_maintenance", "on", "test", "--disable-checks")
    assert [re.sub(rf" {STAMP}", "", line) for line in lines] == [
        "[test] mode=db-maintenance",
        "[test] manual-db-maintenance=on",
        "[test] db-maintenance-checks-disabled=true",
    ]
    assert Job.objects.get(pk=jobs["a"].pk).status_code == "waiting_db_maintenance"
    assert Job.objects.get(pk=jobs["b"].pk).status_code == "initiated"
    lines = run("db_maintenance", "off", "test")
    assert [re.sub(rf" {STAMP}", "", line).split("=")[1] for line in lines] == ["None", "None", "None"]
    # The agent has yet to end the first attempt: a second must not start beside it.
    assert Job.objects.get(pk=jobs["a"].pk).status_code == "waiting_db_maintenance"
    finish_cancel(jobs["a"])
    assert Job.objects.get(pk=jobs["a"].pk).status_code == "initiated"


def finish_cancel(job: Job) -> None:
    from carrel.controller.service import updates
    from carrel.messages.tasks import TaskUpdate

    task = Task.objects.get(job=job, type="canceljob", active=True)
    updates.apply_update("test", TaskUpdate(task_id=task.task_id, stage="finalized", results=results(), complete=True))


def test_prepare_for_reboot_and_its_status():
    job = make_jobs("a")["a"]
    assert run("prepare_for_reboot", "--backend", "test", "--status") == [
        "",
        "== PREPARING FOR REBOOT ==",
        "1) backend 'test' is not paused",
        "2) 1 job(s) are running",
        "Backend 'test' is not paused. Run prepare_for_reboot, then check the status again",
    ]
    lines = run("prepare_for_reboot", "--backend", "test", "-y")
    assert lines[0] == "pausing backend test..."
    assert lines[2:] == [f"resetting job ws-a-{job.id} to PENDING", f"Killing job ws-a-{job.id}"]
    job = Job.objects.get(pk=job.pk)
    assert (job.state, job.status_code) == ("pending", "waiting_on_reboot")
    assert job.status_message == "Job restarted - waiting for server to reboot"
    assert run("prepare_for_reboot", "--backend", "test", "-s")[-2:] == [
        "2) 0 job(s) are running",
        "3) 1 job(s) are being cancelled",
    ]
    finish_cancel(job)
    assert run("prepare_for_reboot", "--backend", "test", "-s")[-3:] == [
        "",
        "== READY TO REBOOT ==",
        "Safe to reboot now",
    ]
    run("pause", "off", "test")
    assert Task.objects.get(active=True).task_id == f"{job.id}-002"
    assert Event.objects.filter(kind="admin.prepare_for_reboot", actor=actor(), backend="test").exists()


def test_prepare_for_reboot_asks_first(monkeypatch):
    job = make_jobs("a")["a"]
    monkeypatch.setattr("builtins.input", lambda _prompt: "n")
    with pytest.raises(CommandError, match="nothing was changed"):
        run("prepare_for_reboot", "--backend", "test")
    assert Job.objects.get(pk=job.pk).state == "running"


def test_migrate_controller_makes_and_updates_a_database(database, workdir, tmp_path):
    path = tmp_path / "new.sqlite"
    environ = environ_of("", workdir, DJANGO_SETTINGS_MODULE="carrel.web.settings")
    command = ["python", "-m", "django", "migrate_controller", "--dbpath", str(path)]
    if database.vendor != "sqlite":
        with pytest.raises(CommandError, match="--dbpath names an SQLite file"):
            run("migrate_controller", "--dbpath", str(path))

    def lines() -> list[str]:
        import sys

        return subprocess.run(
            [sys.executable, *command[1:]], env=environ, capture_output=True, text=True, check=True
        ).stdout.splitlines()

    first = lines()
    assert first[0] == f"created new db at {path}"
    assert first[1:] == [
        "Applied migration 1:initial",
        "Applied migration 2:events_append_only",
        "Applied migration 3:fence_and_inputs",
        "Applied migration 4:job_server_link",
    ]
    assert lines() == [
        "Skipping migration 1:initial as already applied",
        "Skipping migration 2:events_append_only as already applied",
        "Skipping migration 3:fence_and_inputs as already applied",
        "Skipping migration 4:job_server_link as already applied",
    ]
    assert path.stat().st_mode & 0o077 == 0


def test_snapshot_database_keeps_the_newest(database, workdir):
    if database.vendor != "sqlite":
        with pytest.raises(CommandError, match="pg_dump"):
            run("snapshot_database")
        return
    with pytest.raises(CommandError, match="does not exist"):
        run("snapshot_database")
    backups = workdir / "backups"
    backups.mkdir()
    (backups / "db.snapshot_2020-01-01_000000Z.sqlite").write_text("old")
    job = make_jobs("a")["a"]
    run("snapshot_database")
    (kept,) = backups.iterdir()
    assert re.fullmatch(r"db\.snapshot_\d{4}-\d\d-\d\d_\d{6}Z\.sqlite", kept.name)
    connection = sqlite3.connect(kept)
    assert connection.execute("SELECT id FROM controller_job").fetchall() == [(job.id,)]
    connection.close()


def test_tokens_are_made_rotated_and_revoked():
    (first,) = run("create_token", "agent", "--backend", "test")
    (second,) = run("create_token", "agent", "--backend", "test")
    for token in (first, second):
        assert service.agent_token_is_valid("test", token)
        assert not service.agent_token_is_valid("tpp", token)
        assert not Token.objects.filter(token_hash=token).exists()
    number = Token.objects.order_by("id")[0].pk
    with pytest.raises(CommandError, match=rf"revoke_token {number}"):
        run("create_token", "agent", "--backend", "test")
    assert len(run("list_tokens", "--backend", "test")) == 2
    run("revoke_token", str(number))
    assert not service.agent_token_is_valid("test", first)
    assert service.agent_token_is_valid("test", second)
    assert len(run("list_tokens")) == 1
    assert "revoked" in run("list_tokens", "--all")[0]
    assert list(Event.objects.order_by("id").values_list("kind", flat=True)) == ["token.created"] * 2 + [
        "token.revoked"
    ]


def test_a_clients_token_is_good_for_the_backends_it_was_made_for():
    (token,) = run("create_token", "client", "--backend", "test", "--backend", "tpp", "--name", "job server")
    assert service.backends_of_client_token(token) == ["test", "tpp"]
    assert service.backends_of_client_token("both-client") == ["test", "tpp"]
    assert service.backends_of_client_token("tpp-client") == ["tpp"]
    assert service.backends_of_client_token("") == []
    with pytest.raises(CommandError, match="exactly one backend"):
        run("create_token", "agent", "--backend", "test", "--backend", "tpp")


def end(job: Job, days_ago: float) -> None:
    then = clock.now() - timedelta(days=days_ago)
    Job.objects.filter(pk=job.pk).update(state="succeeded", status_code="succeeded", created_at=then, completed_at=then)
    Task.objects.filter(job=job).update(active=False, finished_at=then)
    Rap.objects.filter(pk=job.rap_id).update(created_at=then)


def test_purge_deletes_what_ended_long_ago_and_keeps_what_plans_need():
    replaced, latest = make_jobs("a")["a"], make_jobs("a")["a"]
    end(replaced, 100)
    end(latest, 99)
    running = make_jobs("b")["b"]
    events = Event.objects.count()
    assert run("purge", "--older-than", "90d", "--dry-run") == ["Would delete 1 raps, 1 jobs, 1 tasks"]
    assert run("purge", "--older-than", "101") == ["Deleted 0 raps, 0 jobs, 0 tasks"]
    assert run("purge", "--older-than", "90d") == ["Deleted 1 raps, 1 jobs, 1 tasks"]
    assert {job.pk for job in Job.objects.all()} == {latest.pk, running.pk}
    assert Event.objects.count() == events + 2
    with pytest.raises(CommandError, match="number of days"):
        run("purge", "--older-than", "soon")


def test_latest_jobs_are_those_that_a_plan_reads():
    replaced, latest = make_jobs("a")["a"], make_jobs("a", "b")["a"]
    end(replaced, 2)
    end(latest, 1)
    make_jobs("c", workspace="other")
    found = json.loads("\n".join(run("latest_jobs", "--workspace", latest.workspace)))
    assert {backend: set(jobs) for backend, jobs in found.items()} == {"test": {"a", "b"}, "tpp": set()}
    assert found["test"]["a"]["id"] == latest.pk
    assert (found["test"]["a"]["state"], found["test"]["b"]["completed_at"]) == ("succeeded", None)
    planned = service.latest_jobs("test", latest.workspace, ["a"])["a"]
    assert datetime.fromisoformat(found["test"]["a"]["completed_at"]) == planned.completed_at


def test_add_job_runs_a_local_repository(controller_env, tmp_path):
    controller_env.setenv("ALLOW_LOCAL_GIT_REPOS", "true")
    repo = tmp_path / "study"
    repo.mkdir()
    (repo / "project.yaml").write_text(
        "version: '4.0'\nactions:\n  a:\n    run: python:v2 python a.py\n"
        "    outputs:\n      highly_sensitive:\n        data: output/a.csv\n"
    )
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@x", *command], cwd=repo, check=True)
    from carrel.controller.models import ImageDigest

    image = "ghcr.io/opensafely-core/python:v2"
    ImageDigest.objects.create(image=image, digest="sha256:1", fetched_at=clock.now())
    lines = run("add_job", str(repo), "a", "--backend", "test")
    assert lines[0] == "Submitting RAP:"
    assert "Created 1 new jobs:" in lines
    task = Task.objects.get()
    assert task.definition["image_sha"] == "sha256:1"
    assert Flag.objects.count() == 0
    with pytest.raises(CommandError, match="nothing"):
        run("add_job", str(repo), "nothing", "--backend", "test", "--commit", task.definition["commit"])
    assert task.definition["commit"] != COMMIT

"""The processes: they refuse to start with a sentence, and an idle one writes nothing but the heartbeat."""

import subprocess
import sys

import pytest
from tests.support.controller import make_jobs
from tests.support.controller_server import environ_of, eventually, web

from carrel.controller.models import Event, Flag, Job
from carrel.controller.sweep import Sweep
from carrel.telemetry import traces


@pytest.mark.parametrize("module", ["carrel.web.serve", "carrel.controller.service_main"])
@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({}, "The database does not exist. Create it with `carrel manage migrate_controller`."),
        ({"TEST_MAX_WORKERS": "x"}, "TEST_MAX_WORKERS"),
    ],
)
def test_a_process_that_cannot_start_says_why(module, more, sentence, controller_env, workdir):
    arguments = ["127.0.0.1:0"] if module == "carrel.web.serve" else []
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], env=environ_of("", workdir, **more), capture_output=True, text=True
    )
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_serving_others_needs_a_secret_key_and_hosts(database, workdir):
    environ = environ_of(database.url, workdir, DJANGO_DEBUG="")
    done = subprocess.run(
        [sys.executable, "-m", "carrel.web.serve", "127.0.0.1:0"], env=environ, capture_output=True, text=True
    )
    assert (done.returncode, "DJANGO_CONTROLLER_SECRET_KEY, DJANGO_CONTROLLER_ALLOWED_HOSTS" in done.stderr) == (
        1,
        True,
    )


def test_one_process_may_serve_and_sweep(database, workdir):
    job = make_jobs("a")["a"]
    Job.objects.filter(pk=job.pk).update(state="pending", status_code="created")  # as if no event had come
    with web(environ_of(database.url, workdir, JOB_LOOP_INTERVAL="0.1"), "--with-sweep"):
        eventually(lambda: Job.objects.get().status_code == "initiated")


def test_an_idle_sweep_writes_nothing(database):
    sweep = Sweep()
    for _ in range(3):
        sweep.once()
    assert (Event.objects.count(), Flag.objects.count()) == (0, 0)


def test_regular_tasks_that_go_wrong_stop_neither_their_backends_jobs_nor_another_backend(
    database, monkeypatch, caplog
):
    from carrel.controller.service import maintenance

    looked = []

    def look(backend: str) -> None:
        looked.append(backend)
        if backend == "test":
            raise LookupError

    monkeypatch.setattr(maintenance, "keep_regular_tasks", look)
    Sweep().once()
    assert looked == ["test", "tpp"]
    assert "Regular tasks of backend test failed" in caplog.text
    assert "The sweep of backend" not in caplog.text


def test_what_goes_wrong_with_one_backend_does_not_stop_the_sweep_of_another(database, monkeypatch, caplog):
    from carrel.controller import sweep

    sweeps = Sweep()
    looked = []

    def latest() -> int:
        looked.append(len(looked))
        if len(looked) == 1:
            raise LookupError
        return 0

    monkeypatch.setattr(sweep, "_latest_event_id", latest)
    sweeps.once()
    assert looked == [0, 1]
    assert "The sweep of backend test failed" in caplog.text


@pytest.fixture
def spans():
    """Of one tracer, those that have ended."""
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    traces.setup("controller", exporter=exporter)
    yield lambda tracer: [each for each in exporter.get_finished_spans() if each.instrumentation_scope.name == tracer]
    traces.shutdown()


def test_a_jobs_life_is_one_trace(database, spans):
    from carrel.controller import service

    job = make_jobs("a")["a"]
    service.cancel_actions(job.rap_id, ["a"], ["test"])
    made = spans("jobs")
    assert [span.name for span in made] == ["CREATED", "INITIATED", "CANCELLED_BY_USER", "JOB"]
    assert {f"{span.context.trace_id:032x}" for span in made} == {job.trace_context["traceparent"].split("-")[1]}


def test_a_scheduling_pass_is_a_span_with_one_for_each_decision(database, spans):
    job = make_jobs("a")["a"]
    *decisions, whole = spans("loop")[:2]
    assert (whole.name, dict(whole.attributes)) == ("LOOP", {"backend": "test"})
    assert [(each.name, dict(each.attributes)) for each in decisions] == [
        ("LOOP_JOB", {"job.id": job.id, "job.final_code": "initiated"})
    ]
    assert decisions[0].parent.span_id == whole.context.span_id
    assert [span.name for span in spans("create_or_update_jobs")] == ["create_jobs"]
    assert "TRANSACTION" in {span.name for span in spans("db")}


def test_a_tick_shows_each_active_job_and_comes_again_after_the_interval(database, spans, monkeypatch):
    from datetime import timedelta

    from carrel.controller import clock, settings

    job = make_jobs("a")["a"]
    sweep = Sweep()
    sweep.once()
    sweep.once()
    *jobs, tick = spans("ticks")
    assert (tick.name, [each.name for each in jobs]) == ("TICK", ["INITIATED"])
    assert (jobs[0].attributes["job.id"], jobs[0].attributes["job.request"]) == (job.id, job.rap_id)
    later = clock.now() + timedelta(seconds=settings.get().tick_poll_interval)
    monkeypatch.setattr(clock, "now", lambda: later)
    sweep.once()
    assert [span.name for span in spans("ticks")].count("TICK") == 2

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


def test_what_goes_wrong_with_one_backend_does_not_stop_the_sweep_of_another(database, monkeypatch, caplog):
    from carrel.controller.service import maintenance

    looked = []

    def look(backend: str) -> None:
        looked.append(backend)
        if backend == "test":
            raise LookupError

    monkeypatch.setattr(maintenance, "keep_regular_tasks", look)
    Sweep().once()
    assert looked == ["test", "tpp"]
    assert "The sweep of backend test failed" in caplog.text


def test_a_jobs_life_is_one_trace(database):
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from carrel.controller import service

    exporter = InMemorySpanExporter()
    traces.setup("controller", exporter=exporter)
    try:
        job = make_jobs("a")["a"]
        service.cancel_actions(job.rap_id, ["a"], ["test"])
        spans = exporter.get_finished_spans()
    finally:
        traces.shutdown()
    assert [span.name for span in spans] == ["CREATED", "INITIATED", "CANCELLED_BY_USER", "JOB"]
    assert {f"{span.context.trace_id:032x}" for span in spans} == {job.trace_context["traceparent"].split("-")[1]}

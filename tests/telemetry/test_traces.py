import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from tests.support.http_server import Handler, serving

from carrel.telemetry import traces

T0 = datetime(2026, 5, 3, 12, 0, 0, 123456, tzinfo=UTC)
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans():
    exporter = InMemorySpanExporter()
    assert traces.setup("controller", backend="north", version="1.2", environ={}, exporter=exporter)
    yield exporter.get_finished_spans
    traces.shutdown()


def at(seconds):
    return T0 + timedelta(seconds=seconds)


def ns(when):
    return int(when.timestamp()) * 10**9 + when.microsecond * 1000


def test_a_traceparent_is_of_the_w3c_shape_and_new_each_time():
    made = {traces.new_traceparent() for _ in range(50)}
    assert len(made) == 50
    assert all(traces._TRACEPARENT.fullmatch(each) for each in made)


def test_a_jobs_life(spans):
    traces.status_left(PARENT, "created", T0, at(1), {"job.id": "j1", "job.orgs": ["a"], "job.none": None})
    traces.status_left(PARENT, "executing", at(1), at(5))
    traces.job_ended(PARENT, "succeeded", T0, at(5), {"job.id": "j1"})
    by_name = {each.name: each for each in spans()}
    assert list(by_name) == ["CREATED", "EXECUTING", "SUCCEEDED", "JOB"]
    root = by_name["JOB"]
    assert f"{root.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert f"{root.context.span_id:016x}" == "b7ad6b7169203331"
    assert root.parent is None
    assert (root.start_time, root.end_time) == (ns(T0) - 1000, ns(at(5)))
    for name in ("CREATED", "EXECUTING", "SUCCEEDED"):
        assert by_name[name].parent.span_id == root.context.span_id
        assert by_name[name].context.trace_id == root.context.trace_id
        assert by_name[name].context.span_id != root.context.span_id
    assert (by_name["CREATED"].start_time, by_name["CREATED"].end_time) == (ns(T0), ns(at(1)))
    assert by_name["SUCCEEDED"].end_time - by_name["SUCCEEDED"].start_time == 10**9
    assert dict(by_name["CREATED"].attributes) == {"job.id": "j1", "job.orgs": "['a']"}
    assert all(each.status.status_code is StatusCode.UNSET for each in spans())


@pytest.mark.parametrize(
    ("entered", "final", "names"),
    [
        ("executing", False, ["PREPARED"]),
        ("nonzero_exit", True, ["PREPARED", "NONZERO_EXIT", "JOB"]),
        ("internal_error", True, ["PREPARED", "INTERNAL_ERROR", "JOB"]),
    ],
)
def test_one_call_makes_the_spans_that_a_change_is_due(spans, entered, final, names):
    traces.job_moved(PARENT, "prepared", entered, at(1), at(2), T0, final=final, attributes={"job.id": "j1"})
    assert [each.name for each in spans()] == names
    failed = [each.name for each in spans() if each.status.status_code is StatusCode.ERROR]
    assert failed == (names[1:] if entered == "internal_error" else [])


def test_only_what_is_said_to_be_an_error_is_one(spans):
    traces.job_ended(PARENT, "internal_error", T0, at(5), error=True)
    assert [each.status.status_code for each in spans()] == [StatusCode.ERROR, StatusCode.ERROR]


def test_a_status_that_ended_before_it_began_has_no_negative_length(spans):
    traces.status_left(PARENT, "created", at(5), at(1))
    assert spans()[0].start_time == spans()[0].end_time


def test_the_resource(spans):
    with traces.span("LOOP", "loop", handled=3):
        pass
    (made,) = spans()
    assert made.instrumentation_scope.name == "loop"
    assert dict(made.attributes) == {"handled": 3}
    expected = {
        "service.name": "jobrunner",
        "service.namespace": "north",
        "service.version": "1.2",
        "rap.service": "controller",
        "rap.backend": "north",
    }
    assert expected.items() <= dict(made.resource.attributes).items()


def test_what_is_known_later_is_noted_on_the_open_span(spans):
    with traces.span("LOOP", "loop"):
        traces.note(handled_tasks=3, nothing=None)
    assert dict(spans()[0].attributes) == {"handled_tasks": 3}


def test_an_attribute_may_have_any_name(spans):
    with traces.span("LOOP", "loop", name="n", tracer="t"):
        pass
    assert dict(spans()[0].attributes) == {"name": "n", "tracer": "t"}


def test_a_fault_inside_a_span_tells_its_kind_and_not_its_words(spans):
    with pytest.raises(ValueError, match="patient 7"), traces.span("LOOP", "loop"):
        raise ValueError("patient 7")
    (made,) = spans()
    assert made.status.status_code is StatusCode.ERROR
    assert dict(made.attributes) == {"fault": "ValueError"}
    assert "patient 7" not in made.to_json()


@pytest.mark.parametrize("traceparent", ["", "nonsense", "00-xyz-abc-01"])
def test_a_traceparent_of_another_shape_makes_no_span(spans, traceparent):
    traces.status_left(traceparent, "created", T0, at(1))
    assert spans() == ()


def test_off_means_that_nothing_happens():
    assert traces.setup("agent", environ={}) is False
    assert not traces.is_on()
    traces.job_moved(PARENT, "created", "succeeded", T0, at(1), T0, final=True)
    traces.status_left(PARENT, "created", T0, at(1))
    with traces.span("LOOP"):
        traces.note(handled=3)
    traces.shutdown()


def run(code, **environ):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, env=os.environ | environ
    )


def test_while_off_opentelemetry_is_not_even_imported():
    done = run(
        "import sys; from carrel.telemetry import faults, logs, metrics, traces; logs.setup('agent', environ={}); "
        "traces.setup('agent', environ={}); traces.new_traceparent(); "
        "heavy = {'opentelemetry', 'prometheus_client', 'httpx', 'django', 'requests'} & set(sys.modules); "
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    assert done.returncode == 0, done.stderr


def test_the_console_exporter_sends_what_waits_when_the_process_ends():
    code = "from carrel.telemetry import traces\nassert traces.setup('manage')\nwith traces.span('LOOP'): pass"
    done = run(code, OTEL_EXPORTER_CONSOLE="true")
    assert done.returncode == 0, done.stderr
    assert '"name": "LOOP"' in done.stdout


def test_otlp_to_a_real_server():
    received = []

    class Collector(Handler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, self.headers.get("x-team"), body))
            self.send(200)

    with serving(Collector) as url:
        environ = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{url}/",
            "OTEL_EXPORTER_OTLP_HEADERS": '"X-Team=secret-key"',
        }
        assert traces.setup("agent", environ=environ)
        traces.status_left(PARENT, "created", T0, at(1))
        traces.shutdown()
    ((path, team, body),) = received
    assert (path, team) == ("/v1/traces", "secret-key")
    assert b"CREATED" in body


def test_an_exporter_that_is_not_installed_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(RuntimeError, match=r"pip install '\.\[otlp\]'"):
        traces.setup("agent", environ={"OTEL_EXPORTER_OTLP_HEADERS": "a=b"})


@pytest.mark.parametrize(
    ("text", "headers"),
    [("", {}), ("a=b", {"a": "b"}), ("'A=b=c, d=e,'", {"a": "b=c", "d": "e"}), (' "k=v" ', {"k": "v"})],
)
def test_headers(text, headers):
    assert traces.headers_of({"OTEL_EXPORTER_OTLP_HEADERS": text}) == headers

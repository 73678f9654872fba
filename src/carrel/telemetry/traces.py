"""Traces with OpenTelemetry (spec: controller.md section 7). Off unless an exporter is configured.

While off, nothing of OpenTelemetry is imported and every function here returns at once. A job's trace is one root span
JOB, from its creation to its end, and under it one span for each status code, emitted when the job leaves it.
"""

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from carrel.units.parts import how_to_install

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

Attributes = Mapping[str, Any]

DEFAULT_ENDPOINT = "https://api.honeycomb.io"
"""Where traces go when only OTEL_EXPORTER_OTLP_HEADERS is set, as in the contract."""
FINAL_SPAN = timedelta(seconds=1)
JOB_BEGINS_BEFORE = timedelta(microseconds=1)

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_provider: "TracerProvider | None" = None
_ids: ContextVar[tuple[int, int] | None] = ContextVar("carrel_span_ids", default=None)


def new_traceparent() -> str:
    """A new W3C `traceparent` for a job: `00-<32 hex>-<16 hex>-01`. Made whether tracing is on or off."""
    return f"00-{_hex(16)}-{_hex(8)}-01"


def is_on() -> bool:
    return _provider is not None


def setup(
    process: str,
    *,
    backend: str | None = None,
    version: str = "unknown",
    environ: Mapping[str, str] | None = None,
    exporter: "SpanExporter | None" = None,
) -> bool:
    """Turn tracing on if the environment says where to; True when it is on.

    OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_HEADERS: OTLP over HTTP (needs the extra `carrel[otlp]`);
    OTEL_EXPORTER_CONSOLE: to stdout. `process`: agent, controller or manage. `exporter`: use this one.

    Raises RuntimeError, saying what to install, when the OTLP exporter is asked for and not there.
    """
    global _provider
    environ = os.environ if environ is None else environ
    exporters = [exporter] if exporter is not None else _exporters(environ)
    if not exporters:
        return False
    shutdown()
    _provider = _new_provider(exporters, _resource(process, backend, version, environ), batch=exporter is None)
    return True


def shutdown() -> None:
    """Send what is waiting, and turn tracing off."""
    global _provider
    if _provider is not None:
        _provider.shutdown()
        _provider = None


@contextmanager
def span(name: str, tracer: str = "carrel", /, **attributes: Any) -> Iterator[None]:
    """A span around some work: `with span("LOOP", "loop", backend="north"): ...`. Does nothing while tracing is off.

    An exception marks it as failed and says no more: its text may hold what must not leave this machine.
    """
    if _provider is None:
        yield
        return
    with _provider.get_tracer(tracer).start_as_current_span(
        name, attributes=_clean(attributes), record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield
        except Exception as error:
            from opentelemetry.trace import StatusCode

            current.set_status(StatusCode.ERROR)
            current.set_attribute("fault", type(error).__name__)
            raise


def note(**attributes: Any) -> None:
    """More attributes for the span that is open here, once they are known: `note(handled_tasks=3)`."""
    if _provider is None:
        return
    from opentelemetry.trace import get_current_span

    get_current_span().set_attributes(_clean(attributes))


def job_moved(
    traceparent: str,
    previous: str,
    entered: str,
    since: datetime,
    at: datetime,
    created_at: datetime,
    *,
    final: bool,
    attributes: Attributes | None = None,
) -> None:
    """A job left one status code, which it had since `since`, for another: all the spans that are due for that.

    Call it once the change is committed. Of failures only `internal_error` is an error of the system.
    """
    if _provider is None:
        return
    status_left(traceparent, previous, since, at, attributes)
    if final:
        job_ended(traceparent, entered, created_at, at, attributes, error=entered == "internal_error")


def status_left(
    traceparent: str,
    status: str,
    since: datetime,
    until: datetime,
    attributes: Attributes | None = None,
) -> None:
    """A job left a status code that it had from `since` to `until`: one child span, called as the code in capitals."""
    _emit(traceparent, status, since, max(since, until), attributes or {})


def job_ended(
    traceparent: str,
    final: str,
    created_at: datetime,
    ended_at: datetime,
    attributes: Attributes | None = None,
    *,
    error: bool = False,
) -> None:
    """A job reached its final code: a span of one second for that, and the root span JOB over all of its life.

    `error` marks both as failed: for internal errors only, a study's failures are no errors of the system.
    """
    values = attributes or {}
    _emit(traceparent, final, ended_at, ended_at + FINAL_SPAN, values, error=error)
    _emit(traceparent, "JOB", created_at - JOB_BEGINS_BEFORE, ended_at, values, error=error, root=True)


def _emit(
    traceparent: str,
    name: str,
    start: datetime,
    end: datetime,
    attributes: Attributes,
    *,
    error: bool = False,
    root: bool = False,
) -> None:
    match = _TRACEPARENT.fullmatch(traceparent)
    if _provider is None or match is None:
        return
    ids = (int(match[1], 16), int(match[2], 16))
    token = _ids.set(ids if root else None)
    try:
        job_span = _provider.get_tracer("jobs").start_span(
            name.upper(), context=_context(None if root else ids), start_time=_ns(start), attributes=_clean(attributes)
        )
    finally:
        _ids.reset(token)
    if error:
        from opentelemetry.trace import StatusCode

        job_span.set_status(StatusCode.ERROR)
    job_span.end(_ns(end))


def _context(parent: tuple[int, int] | None) -> "Context":
    """A context with this span in it and nothing else; with no span, for a root."""
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    if parent is None:
        return Context()
    sampled = TraceFlags(TraceFlags.SAMPLED)
    return set_span_in_context(NonRecordingSpan(SpanContext(*parent, is_remote=True, trace_flags=sampled)), Context())


def _new_provider(exporters: "list[SpanExporter]", resource: Mapping[str, str], batch: bool) -> "TracerProvider":
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
    from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator

    class Ids(IdGenerator):
        """Random, but for a job's root span, whose ids were given out when the job was made."""

        def __init__(self) -> None:
            self.random = RandomIdGenerator()

        def generate_trace_id(self) -> int:
            ids = _ids.get()
            return ids[0] if ids else self.random.generate_trace_id()

        def generate_span_id(self) -> int:
            ids = _ids.get()
            return ids[1] if ids else self.random.generate_span_id()

    provider = TracerProvider(resource=Resource.create(dict(resource)), id_generator=Ids(), shutdown_on_exit=batch)
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter) if batch else SimpleSpanProcessor(exporter))
    return provider


def _exporters(environ: Mapping[str, str]) -> "list[SpanExporter]":
    exporters: list[SpanExporter] = []
    if environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_HEADERS"):
        exporters.append(_otlp(environ))
    if environ.get("OTEL_EXPORTER_CONSOLE"):
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        exporters.append(ConsoleSpanExporter())
    return exporters


def _otlp(environ: Mapping[str, str]) -> "SpanExporter":
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise RuntimeError(
            f"OTEL_EXPORTER_OTLP_* is set, and the exporter is not there. Unset it, or {how_to_install('otlp')}."
        ) from error
    endpoint = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or DEFAULT_ENDPOINT
    return OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", headers=headers_of(environ))


def headers_of(environ: Mapping[str, str]) -> dict[str, str]:
    """OTEL_EXPORTER_OTLP_HEADERS (`name=value,name=value`), without the quotes that env files leave around it."""
    text = environ.get("OTEL_EXPORTER_OTLP_HEADERS", "").strip().strip("'\"")
    pairs = (pair.partition("=") for pair in text.split(",") if pair.strip())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _resource(process: str, backend: str | None, version: str, environ: Mapping[str, str]) -> dict[str, str]:
    return {
        "service.name": environ.get("OTEL_SERVICE_NAME") or "jobrunner",
        "service.namespace": backend or "unknown",
        "service.version": version,
        "rap.service": process,
        "rap.backend": backend or "unknown",
    }


def _clean(attributes: Attributes) -> dict[str, Any]:
    """Attributes may be text, numbers and truth values; anything else is written as text, None left out."""
    plain = (str, bool, int, float)
    return {k: v if isinstance(v, plain) else str(v) for k, v in attributes.items() if v is not None}


def _ns(when: datetime) -> int:
    return int(when.timestamp()) * 1_000_000_000 + when.microsecond * 1000


def _hex(size: int) -> str:
    """Random, and never all noughts, which W3C Trace Context forbids."""
    while not int(text := secrets.token_hex(size), 16):
        pass
    return text

"""Logs, traces and error reports of one process, as its environment says: the same for every process of Carrel."""

import os
from collections.abc import Iterable, Mapping

from carrel.telemetry import error_reports, logs, traces


def start(
    process: str,
    service: str,
    *,
    backend: str | None = None,
    level: str | None = None,
    secrets: Iterable[str] = (),
    environ: Mapping[str, str] | None = None,
) -> None:
    """Set up the logs (plain, or JSON with LOG_FORMAT=json); and, where the environment says where to, traces and error
    reports.

    `process`: the short name in log lines; `service`: agent, controller or manage, in traces. `secrets` are hidden in
    logs besides what the environment's own names tell. Raises ValueError for a log level that there is not or a wrong
    SENTRY_DSN, RuntimeError for what is asked for and not installed.
    """
    environ = os.environ if environ is None else environ
    as_json = environ.get("LOG_FORMAT") == "json"
    logs.setup(process, json=as_json, level=level, secrets=secrets, environ=environ)
    version = environ.get("VERSION") or "unknown"
    traces.setup(service, backend=backend, version=version, environ=environ)
    error_reports.setup(process, backend=backend, version=version, environ=environ)

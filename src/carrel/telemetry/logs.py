"""Logs: one line of plain text or JSON for each record, with tags, without secrets (spec: controller.md section 7).

Plain: `2026-05-03T12:00:00.123Z ctrl message status=executing workspace=w action=a id=j`. Programs read the JSON form.
"""

import json as json_text
import logging
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, TextIO

from carrel.telemetry.redaction import Redactor, secrets_in

TAGS = ("status", "workspace", "action", "id", "task", "task_type", "backend")
"""Names of tags, in the order in which they are written; give them by `tags()` or as `extra` of one record."""

SHORT_NAMES = {"controller": "ctrl", "agent": "agnt", "metrics": "mtrc", "tick": "tick"}
"""The four letters for a process, and for a thread of that name."""

_QUIET = ("httpx", "httpcore", "urllib3")
"""They log every request at INFO."""

_KEPT_DAYS = 14
_UNQUOTABLE = re.compile(r'[\s="]')
"""What makes the value of a tag need quotes."""
_context: ContextVar[Mapping[str, str]] = ContextVar("carrel_log_tags", default=MappingProxyType({}))


@contextmanager
def tags(**values: object) -> Iterator[None]:
    """All records written inside carry these tags: `with tags(workspace="w", action="a"): ...`. None removes one."""
    token = _context.set(
        {**_context.get(), **{name: str(value) for name, value in values.items() if value is not None}}
    )
    try:
        yield
    finally:
        _context.reset(token)


def setup(
    process: str,
    *,
    json: bool = False,
    level: str | int | None = None,
    debug_file: Path | None = None,
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
) -> Redactor:
    """Send this process's logs to stderr (or `stream`). Calling it again replaces what the last call set up.

    `level`: default LOGLEVEL, or INFO. `debug_file`: default DEBUG_LOG_FILE; everything from DEBUG on, a new file each
    day, 14 kept. `secrets` are hidden besides those that `environ` (default: the process's own) names. TRACE_LOG_LEVEL
    is the level of OpenTelemetry's own logger. Returns the redactor, to be told of secrets learned later.

    Raises ValueError for a level that there is not.
    """
    environ = os.environ if environ is None else environ
    redactor = Redactor([*secrets_in(environ), *secrets])
    shape = JSONLines(process, redactor) if json else PlainLines(process, redactor)
    level = level or environ.get("LOGLEVEL") or "INFO"
    to_stream = logging.StreamHandler(stream or sys.stderr)
    to_stream.setLevel(level.upper() if isinstance(level, str) else level)
    handlers: list[logging.Handler] = [to_stream]
    if path := debug_file or environ.get("DEBUG_LOG_FILE"):
        handlers.append(_to_file(Path(path)))
    for handler in handlers:
        handler.setFormatter(shape)
    _install(handlers)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("opentelemetry").setLevel(environ.get("TRACE_LOG_LEVEL") or "ERROR")
    return redactor


def _to_file(path: Path) -> logging.Handler:
    from logging.handlers import TimedRotatingFileHandler

    path.parent.mkdir(parents=True, exist_ok=True)
    handler = TimedRotatingFileHandler(path, when="midnight", backupCount=_KEPT_DAYS, encoding="utf-8", utc=True)
    handler.setLevel(logging.DEBUG)
    return handler


def _install(handlers: Iterable[logging.Handler]) -> None:
    root = logging.getLogger()
    for handler in [old for old in root.handlers if isinstance(old.formatter, _Lines)]:
        root.removeHandler(handler)
        handler.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(min(handler.level for handler in handlers))
    logging.captureWarnings(True)


class _Lines(logging.Formatter):
    """What both forms share: time, short name of the thread, tags, the text of an exception."""

    def __init__(self, process: str, redactor: Redactor) -> None:
        super().__init__()
        self.process = process
        self.redactor = redactor

    def time_of(self, record: logging.LogRecord) -> str:
        return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def thread_of(self, record: logging.LogRecord) -> str:
        thread = record.threadName or threading.main_thread().name
        return SHORT_NAMES.get(thread, SHORT_NAMES.get(self.process, self.process))

    def tags_of(self, record: logging.LogRecord) -> dict[str, str]:
        own = {name: str(vars(record)[name]) for name in TAGS if vars(record).get(name) is not None}
        tags = {**_context.get(), **own}
        return {name: tags[name] for name in (*TAGS, *(n for n in tags if n not in TAGS)) if name in tags}

    def trouble_of(self, record: logging.LogRecord) -> str:
        """The traceback, and what a program that failed said on its stderr."""
        parts = []
        if record.exc_info:
            parts.append(self.formatException(record.exc_info))
            stderr = getattr(record.exc_info[1], "stderr", None)
            said = stderr.decode(errors="replace") if isinstance(stderr, bytes) else stderr
            parts.append(f"stderr:\n{said}" if isinstance(said, str) and said else "")
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return "\n".join(part for part in parts if part)


class PlainLines(_Lines):
    """For people and journald. Only the first line of a record begins with a time: no text can look like a record."""

    def format(self, record: logging.LogRecord) -> str:
        tags = " ".join(
            f"{name}={value if value and not _UNQUOTABLE.search(value) else json_text.dumps(value)}"
            for name, value in self.tags_of(record).items()
        )
        head = " ".join(part for part in (self.time_of(record), self.thread_of(record)) if part)
        severe = f"{record.levelname} " if record.levelno >= logging.WARNING else ""
        text = f"{severe}{record.getMessage()}" + (f" {tags}" if tags else "")
        trouble = self.trouble_of(record)
        whole = self.redactor(f"{text}\n{trouble}" if trouble else text)
        return f"{head} " + "\n    ".join(_printable(line) for line in whole.splitlines() or [""])


class JSONLines(_Lines):
    """For programs: one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": self.time_of(record),
            "level": record.levelname,
            "process": self.process,
            "thread": record.threadName,
            "logger": record.name,
            "message": record.getMessage(),
            "tags": self.tags_of(record),
        }
        if trouble := self.trouble_of(record):
            fields["exception"] = trouble
        return json_text.dumps(_redacted(fields, self.redactor), ensure_ascii=False)


def _redacted(value: Any, redactor: Redactor) -> Any:
    """Before it is JSON: escaping would hide a secret with a quote in it from the redactor."""
    if isinstance(value, dict):
        return {name: _redacted(item, redactor) for name, item in value.items()}
    return redactor(value) if isinstance(value, str) else value


def _printable(line: str) -> str:
    """Control characters spelled out, so that a log cannot move the cursor of the terminal that shows it."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in line)

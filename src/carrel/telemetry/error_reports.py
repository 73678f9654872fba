"""Error reports to Sentry, or to another server that speaks its protocol. Off unless SENTRY_DSN says where to.

A report says which kinds of exceptions followed from one another, in which functions, files and lines of code; by
which process, of which version and backend. Texts of exceptions, values of variables, log messages, requests, names of
other files than code's, and the machine's name stay here: on the secure side each may hold what must not leave.
"""

import atexit
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from carrel.units.parts import how_to_install

if TYPE_CHECKING:
    from sentry_sdk import Client

MAX_CHAINED = 8
"""Exceptions of one report: the last, and what it followed from."""
MAX_FRAMES = 50
"""Of each exception, the innermost."""
REPEAT_SECONDS = 60.0
"""The same fault at the same place is reported once in so long: a loop that fails fills no server."""
FLUSH_SECONDS = 2.0
"""How long a process that ends waits for its last report to be taken."""
_FIELDS = frozenset(
    ("event_id", "timestamp", "platform", "level", "logger", "release", "tags", "exception", "sdk")
)  # fmt: skip
_reporter: "_Reporter | None" = None


def setup(
    process: str, *, backend: str | None = None, version: str = "unknown", environ: Mapping[str, str] | None = None
) -> bool:
    """Report what is logged as an error with an exception, and what nobody catches; True when SENTRY_DSN is set.

    Needs the extra `carrel[sentry]`: RuntimeError, saying what to install, when it is not there. ValueError for an
    address that is none.
    """
    global _reporter
    environ = os.environ if environ is None else environ
    shutdown()
    address = environ.get("SENTRY_DSN", "")
    if not address:
        return False
    tags = {"process": process, **({"backend": backend} if backend else {})}
    _reporter = _Reporter(_client(address, version), tags)
    _reporter.install()
    return True


def shutdown() -> None:
    """Send what is waiting, and report nothing more."""
    global _reporter
    if _reporter is not None:
        _reporter.uninstall()
        _reporter = None


def report_of(error: BaseException) -> dict[str, Any]:
    """What a report says of an exception, in the form of Sentry's event (the first cause comes first)."""
    values = []
    for member in _chain(error):
        frames = [_frame(frame, line) for frame, line in traceback.walk_tb(member.__traceback__)][-MAX_FRAMES:]
        kind = type(member)
        values.append({"type": kind.__name__, "module": kind.__module__, "stacktrace": {"frames": frames}})
    return {"exception": {"values": values[::-1]}}


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and what it followed from, as Python would print it."""
    member: BaseException | None = error
    for _ in range(MAX_CHAINED):
        if member is None:
            return
        yield member
        member = member.__cause__ or (None if member.__suppress_context__ else member.__context__)


def _frame(frame: FrameType, line: int) -> dict[str, Any]:
    """The file as the module's name tells it: its whole path would tell of the machine."""
    module = str(frame.f_globals.get("__name__", ""))
    file = PurePath(frame.f_code.co_filename).name
    packages = module.split(".") if file == "__init__.py" else module.split(".")[:-1]
    return {
        "module": module,
        "filename": "/".join([*packages, file]),
        "function": frame.f_code.co_qualname,
        "lineno": line,
        "in_app": module.partition(".")[0] == "carrel",
    }


class _Reporter(logging.Handler):
    """Hears of errors from the log and from Python, and hands reports to the client, whose thread sends them."""

    def __init__(self, client: "Client", tags: Mapping[str, str]) -> None:
        super().__init__(logging.ERROR)
        self.client = client
        self.tags = dict(tags)
        self._reported: dict[tuple[Any, ...], float] = {}
        self._hook = sys.excepthook
        self._thread_hook = threading.excepthook

    def install(self) -> None:
        logging.getLogger().addHandler(self)
        sys.excepthook = self._uncaught
        threading.excepthook = self._uncaught_in_thread
        atexit.register(self.client.close, timeout=FLUSH_SECONDS)

    def uninstall(self) -> None:
        logging.getLogger().removeHandler(self)
        sys.excepthook, threading.excepthook = self._hook, self._thread_hook
        atexit.unregister(self.client.close)
        self.client.close(timeout=FLUSH_SECONDS)

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not record.name.startswith("sentry_sdk"):
            self.report(error, record.levelname.lower(), record.name)

    def report(self, error: BaseException, level: str, logger: str) -> None:
        report = report_of(error)
        innermost = report["exception"]["values"][-1]
        fingerprint = (innermost["type"], logger, *(innermost["stacktrace"]["frames"] or [{}])[-1].values())
        now = time.monotonic()
        if now - self._reported.get(fingerprint, -REPEAT_SECONDS) < REPEAT_SECONDS:
            return
        self._reported[fingerprint] = now
        # The library's type of an event has more than is sent here.
        self.client.capture_event({**report, "level": level, "logger": logger, "tags": self.tags})  # type: ignore[typeddict-item]

    def _uncaught(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, Exception):
            self.report(error.with_traceback(trace), "fatal", "uncaught")
        self._hook(kind, error, trace)

    def _uncaught_in_thread(self, args: threading.ExceptHookArgs) -> None:
        if isinstance(args.exc_value, Exception):
            self.report(args.exc_value, "fatal", "uncaught")
        self._thread_hook(args)


def _client(address: str, version: str) -> "Client":
    """A client of its own: no integration looks into this process, and other users of the library change nothing."""
    try:
        from sentry_sdk import Client
        from sentry_sdk.utils import BadDsn
    except ImportError:
        raise RuntimeError(f"SENTRY_DSN is set and sentry-sdk is not there; {how_to_install('sentry')}") from None
    try:
        return Client(
            dsn=address,
            release=version,
            before_send=_only_what_may_leave,
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            send_client_reports=False,
            include_local_variables=False,
            max_breadcrumbs=0,
            spotlight=False,
            debug=False,
        )
    except BadDsn:
        raise ValueError("SENTRY_DSN is not the address of a project, as https://KEY@HOST/NUMBER") from None


def _only_what_may_leave(event: Any, hint: Any) -> Any:
    """The library adds the machine's name and more. What is not named above stays here, whatever it may add one day."""
    return {name: value for name, value in event.items() if name in _FIELDS}

"""Error reports, by real processes to a real server: faults arrive, and nothing with them that must not leave."""

import gzip
import json
import queue
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.http_server import Handler, serving
from tests.support.waiting import free_port

from carrel.telemetry import error_reports

SCRIPT = """
import logging, sys, threading
from carrel.telemetry.start import start

start("agnt", "agent", backend="north", secrets=())
log = logging.getLogger("carrel.agent.runner")

class Lost(Exception):
    pass

def read(path):
    patient = "Ada Lovelace secret"
    raise FileNotFoundError(2, "secret file is missing", f"/srv/secret/{patient}")

def prepare(request):
    try:
        read("/srv/secret/output.csv")
    except OSError as error:
        raise Lost(f"secret words: SELECT secret FROM patients {request}") from error

def fail():
    prepare({"secret": "body"})
"""
LOGGED = """
for turn in range(3):
    try:
        fail()
    except Lost:
        log.exception("%s: the secret output %s was lost", "secret-job", "secret.csv")
log.error("a secret error without an exception")
log.warning("a secret warning", exc_info=(ValueError, ValueError("secret"), None))
"""
IN_A_THREAD = """
thread = threading.Thread(target=fail)
thread.start()
thread.join()
"""


@pytest.fixture
def sentry() -> Iterator[tuple[str, "queue.Queue[str]"]]:
    """The address of a project, and what it is sent: whole envelopes, with their path and headers."""
    envelopes: queue.Queue[str] = queue.Queue()

    class Project(Handler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            envelopes.put(f"{self.path}\n{self.headers}\n{body.decode()}")
            self.send(200, b"{}")

    with serving(Project) as url:
        yield url.replace("://", "://key@") + "/7", envelopes


def run(tmp_path: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A script in a folder whose name must not leave either."""
    script = tmp_path / "secret-folder" / "task.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text(SCRIPT + code)
    return subprocess.run(
        [sys.executable, script], env={"PATH": "/usr/bin:/bin", "VERSION": "1.2.3", **environment}, capture_output=True,
        text=True,
    )  # fmt: skip


def event_of(envelope: str) -> dict:
    return json.loads(envelope.splitlines()[-1])


def test_a_logged_fault_arrives_once_and_without_a_word_of_it(tmp_path: Path, sentry: tuple) -> None:
    address, envelopes = sentry
    done = run(tmp_path, LOGGED, SENTRY_DSN=address)
    assert done.returncode == 0
    assert done.stderr.count("Lost: secret words: SELECT") == 3, "the log itself has them"
    envelope = envelopes.get_nowait()
    assert envelopes.empty()
    assert envelope.startswith("/api/7/envelope/\n")
    assert "secret" not in envelope.lower()
    assert "Lovelace" not in envelope
    event = event_of(envelope)
    assert event.keys() == {
        "event_id", "timestamp", "platform", "level", "logger", "release", "tags", "exception", "sdk"
    }  # fmt: skip
    assert (event["level"], event["logger"], event["release"]) == ("error", "carrel.agent.runner", "1.2.3")
    assert event["tags"] == {"process": "agnt", "backend": "north"}
    cause, lost = event["exception"]["values"]
    assert (cause.keys(), cause["type"], lost["type"]) == (lost.keys(), "FileNotFoundError", "Lost")
    assert lost.keys() == {"type", "module", "stacktrace"}
    assert [frame["function"] for frame in lost["stacktrace"]["frames"]] == ["<module>", "fail", "prepare"]
    assert [frame["function"] for frame in cause["stacktrace"]["frames"]] == ["prepare", "read"]
    frame = cause["stacktrace"]["frames"][-1]
    assert frame == {
        "module": "__main__", "filename": "task.py", "function": "read", "lineno": frame["lineno"], "in_app": False
    }  # fmt: skip


@pytest.mark.parametrize(("code", "returncode"), [("fail()", 1), (IN_A_THREAD, 0)], ids=["main", "thread"])
def test_what_nothing_catches_arrives_and_is_printed_as_ever(
    tmp_path: Path, sentry: tuple, code: str, returncode: int
) -> None:
    address, envelopes = sentry
    done = run(tmp_path, code, SENTRY_DSN=address)
    assert done.returncode == returncode
    assert "Lost: secret words" in done.stderr
    envelope = envelopes.get_nowait()
    assert "secret" not in envelope.lower()
    event = event_of(envelope)
    assert (event["level"], event["logger"], event["exception"]["values"][-1]["type"]) == ("fatal", "uncaught", "Lost")


def test_ctrl_c_is_no_fault(tmp_path: Path, sentry: tuple) -> None:
    address, envelopes = sentry
    run(tmp_path, "raise KeyboardInterrupt", SENTRY_DSN=address)
    assert envelopes.empty()


def test_other_variables_of_the_library_open_no_other_way(tmp_path: Path, sentry: tuple) -> None:
    address, envelopes = sentry
    done = run(
        tmp_path, LOGGED, SENTRY_DSN=address, SENTRY_SPOTLIGHT=address.rpartition("/")[0], SENTRY_DEBUG="true",
        SENTRY_ENVIRONMENT="secret", SENTRY_TRACES_SAMPLE_RATE="1.0",
    )  # fmt: skip
    assert "[sentry]" not in done.stderr
    assert "secret" not in envelopes.get_nowait().lower()
    assert envelopes.empty()


def test_a_server_that_is_away_stops_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, LOGGED + "print('went on')", SENTRY_DSN=f"http://key@127.0.0.1:{free_port()}/7")
    assert (done.returncode, done.stdout) == (0, "went on\n")


def test_off_without_an_address(tmp_path: Path) -> None:
    done = run(tmp_path, "print('sentry_sdk' in sys.modules)")
    assert done.stdout == "False\n"


@pytest.mark.parametrize("address", ["secret", "https://host.example/7", "https://secret@host.example/"])
def test_an_address_that_is_none_is_refused_without_being_told(address: str) -> None:
    with pytest.raises(ValueError, match="SENTRY_DSN is not the address of a project") as caught:
        error_reports.setup("agnt", environ={"SENTRY_DSN": address})
    assert "secret" not in str(caught.value)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    with pytest.raises(RuntimeError, match=r"pip install '\.\[sentry\]'"):
        error_reports.setup("agnt", environ={"SENTRY_DSN": "https://key@host.example/7"})


def test_a_chain_without_end_and_a_deep_stack_are_cut() -> None:
    def fail(depth: int) -> None:
        if depth:
            fail(depth - 1)
        raise ValueError

    error: BaseException = ValueError()
    for _ in range(20):
        error.__cause__ = ValueError()
        error = error.__cause__
    first = error
    first.__cause__ = first
    assert len(error_reports.report_of(first)["exception"]["values"]) == error_reports.MAX_CHAINED
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (it has no text)
        fail(200)
    (value,) = error_reports.report_of(caught.value)["exception"]["values"]
    assert len(value["stacktrace"]["frames"]) == error_reports.MAX_FRAMES


def test_files_are_named_as_modules_name_them() -> None:
    import carrel.project

    with pytest.raises(Exception) as caught:  # noqa: PT011 (whatever it raises, it comes from there)
        carrel.project.load_pipeline(None)  # type: ignore[arg-type]  # so that it raises
    (value, *_) = error_reports.report_of(caught.value)["exception"]["values"]
    frame = value["stacktrace"]["frames"][-1]
    assert frame["module"].startswith("carrel.project.")
    assert frame["filename"] == frame["module"].replace(".", "/") + ".py"
    assert frame["in_app"]

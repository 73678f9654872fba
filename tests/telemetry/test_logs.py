import io
import json
import logging
import re
import subprocess
import threading
import warnings

import pytest

from carrel.telemetry import logs

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture(autouse=True)
def _restore_logging():
    root = logging.getLogger()
    names = ["httpx", "httpcore", "urllib3", "opentelemetry"]
    before = root.level, {name: logging.getLogger(name).level for name in names}
    yield
    logs._install([logging.NullHandler()])
    root.handlers = [each for each in root.handlers if not isinstance(each, logging.NullHandler)]
    logging.captureWarnings(False)
    root.setLevel(before[0])
    for name, level in before[1].items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def out():
    return io.StringIO()


log = logging.getLogger("carrel.test")


def lines(out):
    return out.getvalue().splitlines()


def test_plain(out):
    logs.setup("controller", stream=out, environ={})
    log.info("Job %s moved", "j1", extra={"status": "executing", "id": "j1"})
    assert re.fullmatch(rf"{TIME} ctrl Job j1 moved status=executing id=j1", lines(out)[0])


def test_tags_of_a_block_of_code_nest_and_end(out):
    logs.setup("agent", stream=out, environ={})
    with logs.tags(workspace="w", action="two words", ward=7):
        with logs.tags(workspace="inner", task=None):
            log.info("a")
        log.info("b", extra={"action": "x"})
    log.info("c")
    assert [line.split("agnt ")[1] for line in lines(out)] == [
        'a workspace=inner action="two words" ward=7',
        "b workspace=w action=x ward=7",
        "c",
    ]


def test_the_thread_has_its_own_letters(out):
    logs.setup("agent", stream=out, environ={})
    thread = threading.Thread(target=lambda: log.info("sampled"), name="metrics")
    thread.start()
    thread.join()
    assert " mtrc sampled" in lines(out)[0]


def test_a_process_without_letters_has_its_name(out):
    logs.setup("ingest", stream=out, environ={})
    log.warning("careful")
    assert lines(out)[0].endswith(" ingest WARNING careful")


def test_json(out):
    logs.setup("agent", json=True, stream=out, environ={"X_TOKEN": 'quo"ted-secret'})
    try:
        raise ValueError('quo"ted-secret inside')
    except ValueError:
        with logs.tags(workspace="w"):
            log.exception('Oh "no"\nreally')
    (line,) = lines(out)
    record = json.loads(line)
    assert record["message"] == 'Oh "no"\nreally'
    assert (record["level"], record["process"], record["logger"]) == ("ERROR", "agent", "carrel.test")
    assert record["tags"] == {"workspace": "w"}
    assert re.fullmatch(TIME, record["time"])
    assert "ValueError: ******** inside" in record["exception"]
    assert "ted-secret" not in line


@pytest.mark.parametrize("as_json", [False, True])
def test_secrets_are_nowhere_in_a_record(out, as_json):
    redactor = logs.setup(
        "agent", json=as_json, stream=out, secrets=["given-secret"], environ={"A_TOKEN": "environ-one"}
    )
    redactor.add("later-secret")
    try:
        raise RuntimeError("https://user:url-secret@example.org failed: environ-one")
    except RuntimeError:
        log.exception("with %s", "given-secret", extra={"workspace": "later-secret"}, stack_info=True)
    assert lines(out)
    for secret in ("given-secret", "environ-one", "url-secret", "later-secret"):
        assert secret not in out.getvalue()


def test_what_a_failed_program_said_is_added(out):
    logs.setup("agent", stream=out, environ={})
    try:
        subprocess.run(["sh", "-c", "echo disk on fire >&2; exit 3"], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        log.exception("could not")
    assert any("disk on fire" in line for line in lines(out))


def test_text_cannot_look_like_another_record_nor_move_the_cursor(out):
    logs.setup("agent", stream=out, environ={})
    log.info("one\n2026-01-01T00:00:00.000Z ctrl forged\x1b[2J\r")
    log.info("")
    assert len([line for line in lines(out) if not line.startswith("    ")]) == 2
    assert "\x1b" not in out.getvalue()
    assert r"\x1b[2J" in out.getvalue()


def test_levels(out):
    logs.setup("agent", stream=out, environ={"LOGLEVEL": "warning", "TRACE_LOG_LEVEL": "CRITICAL"})
    log.info("not this")
    log.warning("this")
    assert len(lines(out)) == 1
    assert logging.getLogger("opentelemetry").level == logging.CRITICAL
    assert logging.getLogger("httpx").level == logging.WARNING


def test_a_level_that_there_is_not_is_refused(out):
    with pytest.raises(ValueError, match="LOUD"):
        logs.setup("agent", stream=out, environ={"LOGLEVEL": "LOUD"})


def test_a_debug_file_has_everything_and_the_stream_has_not(out, tmp_path):
    path = tmp_path / "logs" / "debug.log"
    logs.setup("agent", stream=out, environ={"DEBUG_LOG_FILE": str(path)})
    log.debug("detail")
    log.info("news")
    assert len(lines(out)) == 1
    assert len(path.read_text().splitlines()) == 2


def test_a_second_set_up_replaces_the_first(out):
    first = io.StringIO()
    logs.setup("agent", stream=first, environ={})
    logs.setup("agent", stream=out, environ={})
    log.info("once")
    assert (len(lines(first)), len(lines(out))) == (0, 1)


def test_warnings_are_logged(out):
    logs.setup("agent", stream=out, environ={})
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old file", UserWarning, stacklevel=1)
    assert "UserWarning: old file" in out.getvalue()

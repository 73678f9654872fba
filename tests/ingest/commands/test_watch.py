"""`watch` as a service runs it: it takes what arrives, ends when it is told to, and may be killed."""

import os
import signal
import subprocess
import sys
import time

import pytest
from tests.support.ingest import MAPPING, deliver, dispositions_of, documents, schemas, state_of

from carrel.ingest.operations.ingestion import run
from carrel.ingest.run import Setting, inline
from carrel.ingest.schemas import SchemaStore
from carrel.ingest.sources import source_of


@pytest.fixture
def site(tmp_path):
    """A folder to watch, schemas and a mapping."""
    (tmp_path / "archives").mkdir()
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    SchemaStore(tmp_path / "schemas").add(documents())
    return tmp_path


@pytest.fixture
def watch(site):
    """Start `watch`; ends with the test."""
    started = []

    def start(**environment):
        command = "from carrel.ingest.cli import ingest; ingest()"
        words = [
            "watch",
            str(site / "archives"),
            "--warehouse",
            str(site / "w"),
            "--every",
            "0.1",
            "--workers",
            "0",
        ]
        words += ["--mapping", str(site / "mapping.yaml"), "--schemas", str(site / "schemas")]
        process = subprocess.Popen(
            [sys.executable, "-c", command, *words],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.kill()


def until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def arrived(site, *names):
    for name in names:
        deliver(site / "new", name, f"record-{name}", {"a": int(name)})
        # As whoever exports should do it: what is listed is whole.
        for kind in (".json", ".zip"):
            (site / "new" / f"{name}{kind}").rename(site / "archives" / f"{name}{kind}")


def taken(site):
    if not (site / "w" / "_ledger" / "_delta_log").is_dir():
        return set()
    return {name.rpartition("/")[2] for name in dispositions_of(site / "w")}


def test_it_takes_what_arrives_and_ends_when_told(site, watch):
    (site / "new").mkdir()
    arrived(site, "1")
    process = watch()
    until(lambda: taken(site) == {"1"})
    arrived(site, "2", "3")
    until(lambda: taken(site) == {"1", "2", "3"})
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "Run r00000001" in output


SLOW = [pytest.param(each, marks=pytest.mark.slow) for each in ("ingest.begun", "ingest.done")]


@pytest.mark.parametrize("step", ["ingest.decided", *SLOW])
def test_killed_and_started_again_it_comes_to_the_same(step, site, watch):
    (site / "new").mkdir()
    arrived(site, "1", "2")
    assert watch(CARREL_FAULT=step).wait(120) == -signal.SIGKILL
    watch()
    until(lambda: taken(site) == {"1", "2"})
    run(
        Setting(
            warehouse=str(site / "quiet"), source=source_of(str(site / "archives")), schemas=schemas(), pool=inline()
        )
    )
    assert state_of(site / "w") == state_of(site / "quiet")

"""`carrel up`, `submit` and `demo` as a newcomer meets them: real processes, and a clear sentence for each mistake."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.local import CARREL
from tests.support.waiting import until

pytestmark = pytest.mark.bubblewrap
SECONDS = 60


def environment(toolchains: Path) -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    return {**kept, "EXECUTOR": "bubblewrap", "TOOLCHAINS_DIR": str(toolchains), "COLUMNS": "200"}


class Terminal:
    """Runs `carrel` in a folder of its own."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder, self.env = folder, env

    def carrel(self, *words: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [CARREL, *map(str, words)], cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=SECONDS
        )

    def refused(self, *words: object) -> str:
        """The one sentence that is said when it exits with 1: no traceback, nothing on the other stream."""
        done = self.carrel(*words)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        (said,) = [line for line in done.stderr.splitlines() if line]
        return said

    def git(self, *words: str) -> None:
        who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
        subprocess.run(["git", *who, *words], cwd=self.folder / "study", check=True, capture_output=True)


@pytest.fixture
def terminal(tmp_path, toolchains) -> Terminal:
    return Terminal(tmp_path, environment(toolchains))


def processes_of(folder: Path) -> list[int]:
    """Every process that was told of this folder, by its environment or its command line."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            try:
                words = (place / "environ").read_bytes() + (place / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in words:
                found.append(int(place.name))
    return found


PROJECT = """
version: '5'
actions:
  make:
    run: python:v2 python make.py
    outputs: {moderately_sensitive: {out: output/out.csv}}
  fails:
    run: python:v2 python fails.py
    outputs: {moderately_sensitive: {out: output/none.csv}}
"""


@pytest.fixture(scope="module")
def up(tmp_path_factory, toolchains) -> Iterator[Terminal]:
    """A terminal beside one in which `carrel up --dir site` runs; a committed study is in `study`."""
    folder = tmp_path_factory.mktemp("up")
    terminal = Terminal(folder, environment(toolchains))
    (folder / "study").mkdir()
    (folder / "study/project.yaml").write_text(PROJECT)
    (folder / "study/make.py").write_text(
        "import os\nos.makedirs('output', exist_ok=True)\nopen('output/out.csv', 'w').write('n\\n1\\n')\n"
    )
    (folder / "study/fails.py").write_text("raise SystemExit(3)\n")
    terminal.git("init", "--quiet", "--initial-branch=main")
    terminal.git("add", ".")
    terminal.git("commit", "--quiet", "--message=The study")
    said = folder / "said"
    with said.open("w") as stream:
        words = [CARREL, "up", "--dir", "site", "--port", "0", "--backend", "north", "--backend", "south"]
        running = subprocess.Popen(words, cwd=folder, env=terminal.env, stdout=stream, stderr=stream)
    try:
        until(
            lambda: "Ctrl-C stops all of these;" in said.read_text() or running.poll() is not None, "the site", SECONDS
        )
        assert running.poll() is None, said.read_text()
        yield terminal
        running.send_signal(signal.SIGINT)
        assert running.wait(SECONDS) == 0
        assert "stopping" in said.read_text()
        assert processes_of(folder / "site") == []
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()


# -- what works


def test_submit_runs_a_study_on_every_backend_and_says_where_the_files_are(up):
    done = up.carrel("submit", "--dir", "site", "study", "make")
    assert done.returncode == 0, done.stdout + done.stderr
    for backend in ("north", "south"):
        assert f"{backend}  make: Completed successfully" in done.stdout
        folder = up.folder / f"site/backends/{backend}/medium_privacy/workspaces/study"
        assert f"{backend}: level 4 files in {folder}/" in done.stdout
        assert (folder / "output/out.csv").read_text() == "n\n1\n"


def test_submit_ends_with_1_and_names_the_log_when_an_action_failed(up):
    done = up.carrel("submit", "--dir", "site", "--backend", "north", "study", "fails")
    assert done.returncode == 1
    assert "north fails: Job exited with an error" in done.stdout
    log = up.folder / "site/backends/north/high_privacy/workspaces/study/metadata/fails.log"
    assert f"log: {log}" in done.stdout
    assert log.exists()


def test_submit_says_that_changes_not_committed_do_not_run(up):
    changed = up.folder / "study/make.py"
    before = changed.read_text()
    changed.write_text("raise SystemExit(1)")
    try:
        done = up.carrel("submit", "--dir", "site", "--backend", "south", "study", "make")
    finally:
        changed.write_text(before)
    assert done.returncode == 0, done.stdout
    assert "has changes that are not committed" in done.stderr


def test_the_site_says_what_runs_jobs_and_where_programs_come_from(up, toolchains):
    assert f"runtime     bubblewrap, with the toolchains in {toolchains}" in (up.folder / "said").read_text()


# -- what is refused


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["missing", "make"], "there is no folder missing here"),
        (["study", "make", "--branch", "nope"], "Could not find branch 'nope'"),
        (["study", "make", "--commit", "abc"], "'abc' is no commit: give all 40 hexadecimal digits"),
        (["study", "make", "--commit", "f" * 40], "Could not find commit on branch 'main'"),
        (["study", "make", "--backend", "west"], "no backend 'west' at this site; there are: north, south"),
        (["study", "nonsense"], "Action 'nonsense' not found in project.yaml"),
        (["study", "make", "--workspace", "a b"], "Invalid workspace name"),
        (["https://github.com/nobody/x", "make"], "does not belong to one of the following Github organisations"),
    ],
    ids=["repository", "branch", "short commit", "commit", "backend", "action", "workspace", "organisation"],
)
def test_submit_says_in_a_sentence_what_is_wrong(up, words, sentence):
    assert sentence in up.refused("submit", "--dir", "site", *words)


def test_a_second_site_in_the_same_folder_is_refused(up):
    assert "is in use by process" in up.refused("up", "--dir", "site", "--port", "0")


def test_a_port_that_is_taken_is_named(terminal):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = terminal.refused("up", "--dir", "site", "--port", port)
    assert said == f"port {port} is taken: choose another with --port, or --port 0 for any"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--backend", "North"], "'North' cannot name a backend"),
        (["--backend", "north", "--backend", "north"], "backend 'north' is given twice"),
        (["--backend", "north=/srv/x.duckdb"], "the database of north must be a URL"),
        (["--backend", "north=duckdb:///{folder}/x.duckdb"], "{folder}/x.duckdb does not exist"),
        (["--executor", "nonsense"], "EXECUTOR=nonsense is not one of auto, docker, podman, bubblewrap"),
    ],
)
def test_up_refuses_what_could_never_run(terminal, words, sentence):
    words = [word.format(folder=terminal.folder) for word in words]
    assert sentence.format(folder=terminal.folder) in terminal.refused("up", "--dir", "site", "--port", "0", *words)
    assert processes_of(terminal.folder) == []


def test_a_folder_that_cannot_be_made_is_named(terminal):
    (terminal.folder / "file").write_text("")
    assert "file" in terminal.refused("up", "--dir", "file/site", "--port", "0")


def test_submit_without_a_site_says_how_to_start_one(terminal):
    assert "start one with `carrel up" in terminal.refused("submit", "study", "make")


def test_demo_refuses_an_executor_that_is_none_before_it_does_anything(terminal):
    assert "EXECUTOR=nonsense" in terminal.refused("demo", "--dir", "demo", "--executor", "nonsense")
    assert not (terminal.folder / "demo").exists()

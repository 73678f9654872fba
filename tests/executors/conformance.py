"""What every executor must do. A test module of an executor takes these classes and gives them a `Bench`.

`Lifecycle` holds for all; the others for those that keep a job apart, as `Capabilities` promises. Nothing is mocked:
each test starts real processes and looks at them from inside and outside.
"""

import json
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.waiting import until

from carrel.executors.base import (
    HIDDEN_IN_PROC,
    Executor,
    ImageNotAllowed,
    ImageUnavailable,
    Inspection,
    JobImpossible,
    Mount,
    Network,
    NotSupported,
    Phase,
    ResourceLimits,
    RunSpec,
)
from carrel.executors.choice import ExecutorSettings, choose_executor

WAIT = 60.0
STAMP = re.compile(rb"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z) ")
REPOSITORY = Path(__file__).parents[2]


@dataclass
class Bench:
    """An executor on a bench: makes it, runs things with it, and clears away what it started."""

    settings: ExecutorSettings
    image: str
    folder: Path
    names: list[str] = field(default_factory=list)
    opened: list[Executor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.executor = self.another()

    def another(self, **changes: Any) -> Executor:
        """A second executor of the same owner, as after a restart of the agent."""
        made = choose_executor(replace(self.settings, **changes))
        self.opened.append(made)
        return made

    def name(self) -> str:
        self.names.append(f"os-job-test-{uuid.uuid4().hex[:16]}-001")
        return self.names[-1]

    def workspace(self) -> Path:
        place = self.folder / f"workspace-{uuid.uuid4().hex[:8]}"
        place.mkdir(parents=True)
        return place

    def spec(self, *args: str, **options: Any) -> RunSpec:
        given = {"name": self.name(), "image": self.image, "workspace": self.workspace(), **options}
        return RunSpec(args=args, **given)

    def python(self, code: str, *args: str, **options: Any) -> RunSpec:
        return self.spec("python3", "-c", textwrap.dedent(code), *args, **options)

    def start(self, spec: RunSpec) -> str:
        self.executor.start(spec)
        return spec.name

    def ended(self, name: str) -> Inspection:
        assert self.executor.wait([name], WAIT) == {name}
        return self.executor.inspect(name)

    def run(self, spec: RunSpec) -> Inspection:
        return self.ended(self.start(spec))

    def log(self, name: str, max_bytes: int | None = None) -> bytes:
        pieces: list[bytes] = []
        self.executor.logs(name, pieces.append, max_bytes)
        return b"".join(pieces)

    def text(self, name: str) -> str:
        """The log without its timestamps."""
        return "".join(STAMP.sub(b"", line).decode() for line in self.log(name).splitlines(keepends=True))

    def answer(self, spec: RunSpec) -> Any:
        """What a program printed as JSON; it must have ended well."""
        end = self.run(spec)
        assert end.exit_code == 0, self.text(spec.name)
        return json.loads(self.text(spec.name))

    def clear(self) -> None:
        for name in self.names:
            self.executor.remove(name)
        for executor in self.opened:
            executor.close()


@contextmanager
def bench(settings: ExecutorSettings, image: str, folder: Path) -> Iterator[Bench]:
    made = Bench(settings, image, folder)
    try:
        yield made
    finally:
        made.clear()


def agent_that_dies(bench: Bench, spec: RunSpec, fault: str | None = None) -> None:
    """Start `spec` in another process, killed with its whole session at `fault`, or when it has started it."""
    code = (
        "import os, pickle, signal, sys\n"
        "from carrel.executors.choice import choose_executor\n"
        "settings, spec = pickle.load(sys.stdin.buffer)\n"
        "choose_executor(settings).start(spec)\n"
        "os.killpg(os.getpgid(0), signal.SIGKILL)\n"
    )
    env = {**os.environ, "CARREL_FAULT": fault or ""}
    given = pickle.dumps((bench.settings, spec))
    agent = subprocess.run([sys.executable, "-c", code], input=given, env=env, start_new_session=True, check=False)
    assert agent.returncode == -signal.SIGKILL


def processes_with(marker: str) -> list[int]:
    """Pids of this machine with `marker` in their command line or environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if any(marker.encode() in (folder / name).read_bytes() for name in ("cmdline", "environ")):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def command_lines_with(marker: str) -> list[str]:
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = place.read_bytes()
        except OSError:
            continue
        if marker.encode() in text:
            found.append(text.decode(errors="replace"))
    return found


class Lifecycle:
    """Start, inspect, wait, logs, stop, remove, usage, list; found again by another process."""

    @pytest.mark.parametrize("code", [0, 1, 3, 125, 255])
    def test_exit_code(self, bench: Bench, code: int) -> None:
        end = bench.run(bench.spec("sh", "-c", f"exit {code}"))
        assert (end.phase, end.exit_code, end.oom_killed, end.lost) == (Phase.EXITED, code, False, False)

    @pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
    def test_a_signal_is_128_and_its_number(self, bench: Bench, sign: signal.Signals) -> None:
        end = bench.run(bench.python("import os, sys; os.kill(os.getpid(), int(sys.argv[1]))", str(int(sign))))
        assert (end.exit_code, end.oom_killed, end.lost) == (128 + sign, False, False)

    def test_a_program_that_is_not_there_is_127(self, bench: Bench) -> None:
        spec = bench.spec("no-such-program", "x")
        assert bench.run(spec).exit_code == 127
        assert "no-such-program" in bench.text(spec.name)

    def test_times_image_and_labels(self, bench: Bench) -> None:
        before = datetime.now(UTC) - timedelta(seconds=1)
        image_id = bench.executor.prepare_image(bench.image, None)
        end = bench.run(bench.spec("true", labels={"workspace": "w", "action": "a"}))
        assert end.started_at
        assert end.finished_at
        assert before <= end.started_at <= end.finished_at <= datetime.now(UTC) + timedelta(seconds=1)
        assert end.image_id == image_id
        json.dumps(end.metadata)

    def test_nothing_of_that_name(self, bench: Bench) -> None:
        name = bench.name()
        assert bench.executor.inspect(name) == Inspection(Phase.ABSENT)
        assert bench.executor.usage(name) is None
        assert bench.executor.wait([name], WAIT) == {name}
        assert bench.log(name) == b""
        bench.executor.stop(name)
        bench.executor.remove(name)

    def test_runs_in_the_workspace_and_writes_to_it(self, bench: Bench) -> None:
        spec = bench.spec("sh", "-c", "mkdir -p output && cat input.txt > output/copy.txt && pwd > output/where.txt")
        (spec.workspace / "input.txt").write_text("in")
        assert bench.run(spec).exit_code == 0
        assert (spec.workspace / "output/copy.txt").read_text() == "in"
        (spec.workspace / "output/copy.txt").write_text("the files are the agent's")

    def test_started_twice_runs_once(self, bench: Bench) -> None:
        spec = bench.spec("sh", "-c", "echo ran >> runs.txt; read line < wait || true")
        os.mkfifo(spec.workspace / "wait")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(bench.executor.start, [spec] * 4))
        until((spec.workspace / "runs.txt").exists, "the first run")
        assert bench.executor.inspect(spec.name).phase == Phase.RUNNING
        (spec.workspace / "wait").write_text("go\n")
        bench.ended(spec.name)
        bench.executor.start(spec)
        assert bench.executor.inspect(spec.name).phase == Phase.EXITED
        assert (spec.workspace / "runs.txt").read_text() == "ran\n"

    def test_list_and_remove(self, bench: Bench) -> None:
        first, second = bench.start(bench.spec("true")), bench.start(bench.spec("sleep", "1000"))
        assert {first, second} <= set(bench.executor.list())
        for _ in range(2):
            bench.executor.remove(first)
            bench.executor.remove(second)
        assert not {first, second} & set(bench.executor.list())
        assert bench.executor.inspect(second).phase == Phase.ABSENT

    def test_a_name_can_be_used_again_after_remove(self, bench: Bench) -> None:
        spec = bench.spec("sh", "-c", "exit 4")
        bench.run(spec)
        bench.executor.remove(spec.name)
        assert bench.run(replace(spec, args=("sh", "-c", "exit 5"))).exit_code == 5

    def test_stop_ends_it(self, bench: Bench) -> None:
        name = bench.start(bench.spec("sleep", "1000"))
        bench.executor.stop(name)
        end = bench.executor.inspect(name)
        assert (end.phase, end.exit_code, end.oom_killed, end.lost) == (Phase.EXITED, 137, False, False)
        bench.executor.stop(name)

    def test_wait_tells_which_ended(self, bench: Bench) -> None:
        slow, quick = bench.start(bench.spec("sleep", "1000")), bench.spec("sh", "-c", "read line < wait")
        os.mkfifo(quick.workspace / "wait")
        bench.start(quick)
        assert bench.executor.wait([slow, quick.name], 0.05) == set()
        opener = threading.Thread(target=(quick.workspace / "wait").write_text, args=("go\n",))
        opener.start()
        assert bench.executor.wait([slow, quick.name], WAIT) == {quick.name}
        opener.join()

    def test_wait_can_be_woken(self, bench: Bench) -> None:
        name = bench.start(bench.spec("sleep", "1000"))
        reader, writer = os.pipe()
        try:
            ring = threading.Timer(0.1, os.write, (writer, b"x"))
            ring.start()
            assert bench.executor.wait([name], WAIT, wake=reader) == set()
            assert bench.executor.wait([], WAIT, wake=reader) == set()
            ring.join()
        finally:
            os.close(reader)
            os.close(writer)

    def test_log_is_merged_and_stamped(self, bench: Bench) -> None:
        code = """
            import os, time
            for line in range(3):
                os.write(1, b"out %d\\n" % line)
                time.sleep(0.02)
                os.write(2, b"err %d\\n" % line)
                time.sleep(0.02)
            os.write(1, "no line end: é☃".encode())
        """
        spec = bench.python(code)
        bench.run(spec)
        lines = bench.log(spec.name).splitlines()
        stamps = [STAMP.match(line) for line in lines]
        assert all(stamps)
        assert [stamp[1] for stamp in stamps if stamp] == sorted(stamp[1] for stamp in stamps if stamp)
        expected = ["out 0", "err 0", "out 1", "err 1", "out 2", "err 2", "no line end: é☃"]
        assert bench.text(spec.name).splitlines() == expected

    def test_log_can_be_read_while_it_runs(self, bench: Bench) -> None:
        name = bench.start(bench.spec("sh", "-c", "echo now; sleep 1000"))
        pieces: list[bytes] = []

        def seen() -> bool:
            pieces.clear()
            thread = threading.Thread(target=bench.executor.logs, args=(name, pieces.append))
            thread.start()
            thread.join(WAIT)
            return b" now\n" in b"".join(pieces)

        until(seen, "the first line")

    def test_log_that_is_not_text(self, bench: Bench) -> None:
        spec = bench.python("import os; os.write(1, bytes(range(256)) * 4 + b'\\n')")
        bench.run(spec)
        assert bytes(range(11, 256)) in bench.log(spec.name)

    def test_big_log_keeps_head_and_tail(self, bench: Bench) -> None:
        spec = bench.python("for line in range(200_000): print(f'line {line:06d}', 'x' * 40)")
        bench.run(spec)
        whole = bench.log(spec.name)
        pieces: list[bytes] = []
        missing = bench.executor.logs(spec.name, pieces.append, 100_000)
        text = b"".join(pieces)
        assert whole.count(b"\n") == 200_000
        assert 50_000 < len(text) <= 100_200
        assert b" line 000000 " in text
        assert b" line 199999 " in text
        assert str(missing).encode() in text
        assert missing + len(text) - len(whole) == len(next(x for x in pieces if b"left out" in x))

    def test_arguments_arrive_as_they_are(self, bench: Bench) -> None:
        words = ["", " a  b ", "é☃𝄞", "line\nend", "--", "-x", "$HOME", "'\"\\", "*", "a=b"]
        code = "import json, sys; print(json.dumps(sys.argv[1:]))"
        assert bench.answer(bench.python(code, *words)) == words

    def test_found_again_by_another_agent(self, bench: Bench) -> None:
        running, ended = (
            bench.spec("sh", "-c", "echo hello; read line < wait; exit 6"),
            bench.spec("sh", "-c", "exit 3"),
        )
        os.mkfifo(running.workspace / "wait")
        bench.start(running)
        bench.run(ended)
        bench.executor = bench.another()
        assert {running.name, ended.name} <= set(bench.executor.list())
        assert bench.executor.inspect(ended.name).exit_code == 3
        assert bench.executor.inspect(running.name).phase == Phase.RUNNING
        (running.workspace / "wait").write_text("go\n")
        assert bench.ended(running.name).exit_code == 6
        assert bench.text(running.name) == "hello\n"

    def test_survives_the_kill_of_the_agent(self, bench: Bench) -> None:
        spec = bench.spec("sh", "-c", "echo started; read line < wait; exit 7")
        os.mkfifo(spec.workspace / "wait")
        agent_that_dies(bench, spec)
        assert bench.executor.inspect(spec.name).phase == Phase.RUNNING
        (spec.workspace / "wait").write_text("go\n")
        assert bench.ended(spec.name).exit_code == 7
        assert bench.text(spec.name) == "started\n"

    def test_twenty_at_once(self, bench: Bench) -> None:
        specs = [bench.spec("sh", "-c", f"echo {number}; exit {number}") for number in range(20)]
        with ThreadPoolExecutor(20) as pool:
            ends = list(pool.map(bench.run, specs))
        assert [end.exit_code for end in ends] == list(range(20))
        assert [bench.text(spec.name) for spec in specs] == [f"{number}\n" for number in range(20)]

    def test_exactly_the_environment_given(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AGENT_SECRET", "must not be seen")
        wanted = {"OPENSAFELY_BACKEND": "north", "ODD": "a=b\nc é☃ '\"", "EMPTY": ""}
        code = "import json, os; print(json.dumps(dict(os.environ)))"
        seen = bench.answer(bench.python(code, env=wanted))
        assert isinstance(seen, dict)
        assert wanted.items() <= seen.items()
        assert seen["HOME"] == "/tmp"
        allowed = {"PATH", "HOME", "HOSTNAME", "LANG", "LC_CTYPE", "PWD", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
        assert set(seen) - set(wanted) <= allowed

    def test_values_of_the_environment_are_on_no_command_line(self, bench: Bench) -> None:
        secret = f"secret-{uuid.uuid4().hex}"
        spec = bench.spec("sh", "-c", "echo started; sleep 1000", env={"DATABASE_URL": secret})
        lines: list[list[str]] = []
        over = threading.Event()

        def look() -> None:
            while not over.is_set():
                lines.append(command_lines_with(secret))

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            bench.start(spec)
            until(lambda: bench.log(spec.name), "its start")
        finally:
            over.set()
            watcher.join()
        assert lines
        assert not any(lines)
        assert secret not in json.dumps(dict(bench.executor.inspect(spec.name).metadata))

    def test_names_that_are_paths_are_refused(self, bench: Bench) -> None:
        with pytest.raises((ValueError, Exception), match=r"name|invalid|Invalid"):
            bench.executor.start(replace(bench.spec("true"), name="../escape"))


NOT_RUNNABLE = {
    "not executable": ("./analysis/script.sh", "#!/bin/sh\necho hi\n", 0o644, 126),
    "not executable, no ./": ("analysis/make.py", "print(1)\n", 0o644, 126),
    "of mode 000": ("./analysis/script.sh", "#!/bin/sh\necho hi\n", 0o000, 126),
    "saved on Windows": ("./analysis/script.sh", "#!/bin/sh\r\necho hi\r\n", 0o755, 127),
    "with an interpreter that is not there": ("./script", "#!/usr/bin/pyhton\nprint(1)\n", 0o755, 127),
    "with an interpreter that env cannot find": ("./script", "#!/usr/bin/env pyhton\nprint(1)\n", 0o755, 127),
    "with an interpreter that is a folder": ("./script", "#!/usr\n", 0o755, 126),
    "a folder": ("./analysis", None, 0o755, 126),
    "missing": ("./analysis/no-such-script.sh", None, 0o755, 127),
    "below a file": ("./file/script.sh", None, 0o755, (1, 126, 127)),
    "of too long a name": ("./" + "x" * 300, None, 0o755, (1, 126, 127)),
    "of a name that begins with a dash": ("--no-such-program", None, 0o755, 127),
    "nameless": ("", None, 0o755, (126, 127)),
}


def study_file(workspace: Path, name: str, text: str, mode: int) -> None:
    place = workspace / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    place.chmod(mode)


class Startable:
    """What cannot be started is the study's error: an exit code as from a shell, and the reason in the log."""

    @pytest.mark.parametrize("case", NOT_RUNNABLE)
    def test_a_program_that_is(self, bench: Bench, case: str) -> None:
        program, text, mode, expected = NOT_RUNNABLE[case]
        spec = bench.spec(program, "argument")
        (spec.workspace / "analysis").mkdir()
        (spec.workspace / "file").touch()
        if text is not None:
            study_file(spec.workspace, program, text, mode)
        end = bench.run(spec)
        assert (end.phase, end.lost) == (Phase.EXITED, False)
        assert end.exit_code in (expected if isinstance(expected, tuple) else (expected,))
        log = bench.text(spec.name)
        assert log.strip()
        assert program in log or "pyhton" in log

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("./plain.sh", "#!/bin/sh\necho $1\n"),
            ("./with spaces.sh", "#!   /bin/sh   -e  \necho $1\n"),
            ("./folder/deep er/it's.sh", "#!/bin/sh\necho $1\n"),
            ("./env.py", "#!/usr/bin/env python3\nimport sys; print(sys.argv[1])\n"),
            ("./no-first-line", "echo $1\n"),
            ("./-dash.sh", "#!/bin/sh\necho $1\n"),
            ("./ünï.sh", "#!/bin/sh\necho $1\n"),
        ],
    )
    def test_a_script_of_the_study(self, bench: Bench, name: str, text: str) -> None:
        spec = bench.spec(name, "it ran")
        study_file(spec.workspace, name, text, 0o755)
        end = bench.run(spec)
        assert (end.exit_code, bench.text(spec.name)) == (0, "it ran\n")

    @pytest.mark.parametrize("words", [["y"] * 40_000, ["x" * 131_000] * 10, ["é" * 60_000]], ids=["many", "long", "é"])
    def test_a_command_as_long_as_linux_takes(self, bench: Bench, words: list[str]) -> None:
        code = "import json, sys; print(json.dumps([len(sys.argv) - 1, sum(map(len, sys.argv[1:]))]))"
        assert bench.answer(bench.python(code, *words)) == [len(words), sum(map(len, words))]

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"args": ("echo", "x" * 140_000)}, r"argument 1 .* 140000 bytes, and Linux takes 131071 at most"),
            ({"args": ("echo", *["y"] * 300_000)}, r"300000 arguments.* file of the study"),
            ({"args": ("echo", "a\0b")}, "argument 1 .* NUL"),
            ({"args": ("e\0cho",)}, "the program's name .* NUL"),
            ({"args": ("echo", "\ud800")}, "argument 1 .* UTF-8"),
            ({"env": {"A": "b\0c"}}, "'A' .* NUL"),
            ({"limits": ResourceLimits(memory=1)}, "1 bytes of memory: ask for 6M or more"),
        ],
        ids=["long", "many", "NUL", "NUL program", "not text", "NUL variable", "memory"],
    )
    def test_what_no_machine_could_start_is_refused(self, bench: Bench, changes: dict[str, Any], reason: str) -> None:
        spec = replace(bench.spec("true"), **changes)
        with pytest.raises(JobImpossible, match=reason):
            bench.executor.start(spec)
        assert bench.executor.inspect(spec.name).phase == Phase.ABSENT

    def test_a_fault_within_a_running_script_is_its_own(self, bench: Bench) -> None:
        spec = bench.spec("sh", "-c", "echo before; ./no-such-file")
        end = bench.run(spec)
        assert (end.exit_code, end.lost) == (127, False)
        assert "before" in bench.text(spec.name).splitlines()

    def test_a_job_that_removes_its_workspace(self, bench: Bench) -> None:
        spec = bench.spec("sh", "-c", "rm -rf /workspace/* /workspace/.[a-z]* /workspace; echo gone; exit 5")
        study_file(spec.workspace, "a/b.txt", "x", 0o644)
        end = bench.run(spec)
        assert (end.exit_code, end.lost) == (5, False)
        assert "gone" in bench.text(spec.name)

    def test_a_job_that_takes_all_rights_away(self, bench: Bench) -> None:
        spec = bench.spec("sh", "-c", "mkdir a; echo x > a/b; chmod 000 a .; echo last; exit 6")
        try:
            end = bench.run(spec)
            assert (end.exit_code, end.lost, bench.text(spec.name)) == (6, False, "last\n")
        finally:
            spec.workspace.chmod(0o700)


UNFLUSHED = "import os, sys, time\nprint('first')\nprint('last words')\n"


class Talkative:
    """The log is kept to its last line, however the job ends."""

    def test_stopped_from_outside(self, bench: Bench) -> None:
        spec = bench.python(UNFLUSHED + "open('ready', 'w')\ntime.sleep(1000)")
        bench.start(spec)
        until((spec.workspace / "ready").exists, "its last line")
        bench.executor.stop(spec.name)
        assert bench.ended(spec.name).exit_code == 137
        assert bench.text(spec.name) == "first\nlast words\n"

    @pytest.mark.parametrize(
        ("deed", "exit_code"),
        [
            ("os.kill(os.getpid(), 9)", 137),
            ("os.kill(os.getpid(), 11)", 139),
            ("os.abort()", 134),
            ("os.kill(0, 9)", 137),
            ("os.setsid() if os.fork() == 0 else os._exit(4)", 4),
            ("os.close(1); os.close(2); os._exit(9)", 9),
            ("KILL_ALL()", 3),
            ("os._exit(200)", 200),
        ],
    )
    def test_ended_by_itself(self, bench: Bench, deed: str, exit_code: int) -> None:
        # Where nothing keeps the job from the machine's other processes, it kills its own child only.
        whom = "child" if bench.executor.capabilities.name == "process" else "-1"
        kill_all = f"child = os.fork() or time.sleep(1000); os.kill({whom}, 9); os._exit(3)"
        spec = bench.python(UNFLUSHED + deed.replace("KILL_ALL()", kill_all))
        end = bench.run(spec)
        assert (end.exit_code, end.lost, end.oom_killed) == (exit_code, False, False)
        assert bench.text(spec.name) == "first\nlast words\n"

    def test_by_a_daemon_that_holds_the_log(self, bench: Bench) -> None:
        """The job is over when its own program is; what it left behind neither delays the end nor is it waited for."""
        code = """
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    print("daemon", flush=True)
                    open("ready", "w")
                    time.sleep(1000)
                os._exit(0)
            while not os.path.exists("ready"):
                time.sleep(0.01)
            print("main")
            os._exit(2)
        """
        spec = bench.python(UNFLUSHED + textwrap.dedent(code))
        end = bench.run(spec)
        assert (end.exit_code, end.lost) == (2, False)
        assert bench.text(spec.name) == "first\nlast words\ndaemon\nmain\n"

    def test_of_a_job_that_closes_its_output_and_goes_on(self, bench: Bench) -> None:
        code = """
            os.close(1); os.close(2)
            open("closed", "w")
            open("wait").read()
            os._exit(8)
        """
        spec = bench.python(UNFLUSHED + textwrap.dedent(code))
        os.mkfifo(spec.workspace / "wait")
        bench.start(spec)
        until((spec.workspace / "closed").exists, "the end of its output")
        assert bench.executor.wait([spec.name], 0.2) == set()
        (spec.workspace / "wait").write_text("go")
        assert bench.ended(spec.name).exit_code == 8
        assert bench.text(spec.name) == "first\nlast words\n"


class Contained:
    """Nothing that a job started outlives it, whatever it does to get away."""

    def test_stop_kills_all_it_started(self, bench: Bench) -> None:
        marker = f"marker-{uuid.uuid4().hex}"
        code = """
            import os, signal, sys, time
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            for _ in range(3):
                if os.fork() == 0:
                    os.setsid()
            open("ready", "a").write("x")
            time.sleep(1000)
        """
        spec = bench.python(code, marker)
        bench.start(spec)
        ready = spec.workspace / "ready"
        until(lambda: ready.exists() and len(ready.read_text()) == 8, "eight processes")
        bench.executor.stop(spec.name)
        end = bench.executor.inspect(spec.name)
        assert (end.phase, end.exit_code, end.oom_killed) == (Phase.EXITED, 137, False)
        until(lambda: not processes_with(marker), "the end of all processes")
        bench.executor.stop(spec.name)

    def test_stopped_at_any_moment_of_its_start(self, bench: Bench) -> None:
        marker = f"marker-{uuid.uuid4().hex}"
        for number in range(12):
            name = bench.start(bench.spec("sh", "-c", "sleep 1000", marker))
            threading.Event().wait(number / 400)  # from the first instructions to the program itself
            bench.executor.stop(name)
            end = bench.executor.inspect(name)
            assert (end.phase, end.exit_code, end.lost) == (Phase.EXITED, 137, False)
        until(lambda: not processes_with(marker), "the end of all processes")

    def test_what_it_left_in_the_background_ends_with_it(self, bench: Bench) -> None:
        marker = f"marker-{uuid.uuid4().hex}"
        code = """
            import os, sys, time
            if os.fork() == 0:
                os.setsid()
                time.sleep(1000)
            print("main")
        """
        spec = bench.python(code, marker)
        assert bench.run(spec).exit_code == 0
        until(lambda: not processes_with(marker), "the end of the background process")
        assert bench.text(spec.name) == "main\n"


class Limited:
    """The limits that `Capabilities` says are held."""

    def test_usage_of_a_running_process(self, bench: Bench) -> None:
        spec = bench.python("x = bytearray(50 << 20)\nopen('ready', 'w')\nwhile True: pass")
        name = bench.start(spec)
        until((spec.workspace / "ready").exists, "its memory")

        def busy() -> bool:
            usage = bench.executor.usage(name)
            assert usage
            return usage.cpu_seconds > 0.2 and usage.memory > 50 << 20

        until(busy, "its use of cpu and memory")
        bench.executor.stop(name)
        assert bench.executor.usage(name) is None

    def test_out_of_memory(self, bench: Bench) -> None:
        if bench.executor.capabilities.memory_limit != "cgroup":
            pytest.skip("no cgroup holds memory here")
        spec = bench.python(UNFLUSHED + "x = bytearray(2 << 30)", limits=ResourceLimits(memory=64 << 20))
        end = bench.run(spec)
        assert (end.exit_code, end.oom_killed, end.lost) == (137, True, False)
        assert bench.text(spec.name) == "first\nlast words\n"

    @pytest.mark.parametrize("exit_code", [0, 1])
    def test_a_child_killed_for_memory_is_known(self, bench: Bench, exit_code: int) -> None:
        if bench.executor.capabilities.memory_limit != "cgroup":
            pytest.skip("no cgroup holds memory here")
        code = """
            import os, sys
            print("worker starts")
            if os.fork() == 0:
                try:
                    open("/proc/self/oom_score_adj", "w").write("1000")
                except OSError:
                    pass
                x = bytearray(2 << 30)
            status = os.wait()[1]
            print("worker ended with", os.waitstatus_to_exitcode(status))
            sys.exit(int(sys.argv[1]))
        """
        spec = bench.python(code, str(exit_code), limits=ResourceLimits(memory=64 << 20))
        end = bench.run(spec)
        assert (end.exit_code, end.oom_killed, end.lost) == (exit_code, True, False)
        assert bench.text(spec.name) == "worker starts\nworker ended with -9\n"

    def test_more_processors_than_there_are(self, bench: Bench) -> None:
        """What is asked for may be more than this machine has: the job gets what there is."""
        assert bench.run(bench.spec("true", limits=ResourceLimits(cpus=4096.0))).exit_code == 0
        assert bench.run(bench.spec("true", limits=ResourceLimits(cpus=1e-300))).exit_code == 0
        assert bench.run(bench.spec("true", limits=ResourceLimits(cpus=1e308, memory=1 << 50))).exit_code == 0

    def test_tmp_is_memory_and_limited(self, bench: Bench) -> None:
        code = """
            import errno
            try:
                with open("/tmp/big", "wb") as file:
                    for _ in range(64):
                        file.write(bytes(1 << 20))
                print(0)
            except OSError as error:
                print(int(error.errno == errno.ENOSPC))
        """
        assert bench.answer(bench.python(code)) == 1

    def test_a_fork_bomb_is_held(self, bench: Bench) -> None:
        if bench.executor.capabilities.pids_limit != "cgroup":
            pytest.skip("no cgroup holds the number of processes here")
        code = """
            import os, time
            made = 0
            while made < 200:
                try:
                    if os.fork() == 0:
                        time.sleep(1000)
                except OSError:
                    break
                made += 1
            print(made)
        """
        made = bench.answer(bench.python(code, limits=ResourceLimits(pids=30)))
        assert isinstance(made, int)
        assert 20 <= made <= 30

    def test_half_a_cpu_is_half_a_cpu(self, bench: Bench) -> None:
        if bench.executor.capabilities.cpu_limit != "cgroup":
            pytest.skip("no cgroup holds cpus here")
        code = """
            import time
            start, used = time.monotonic(), time.process_time()
            while time.monotonic() - start < 1.0:
                pass
            print((time.process_time() - used) / (time.monotonic() - start))
        """
        share = bench.answer(bench.python(code, limits=ResourceLimits(cpus=0.5)))
        assert isinstance(share, float)
        assert share < 0.75  # a whole one without the limit; the kernel gives slices of 50 ms each 100 ms

    def test_limits_are_in_the_notes(self, bench: Bench) -> None:
        end = bench.run(bench.spec("true", limits=ResourceLimits(memory=1 << 30, cpus=1.5, pids=100)))
        assert end.notes[0].startswith("Limits")
        assert all(words in end.notes[0] for words in ("memory 1.00 GB", "cpus 1.5", "pids 100"))


class Images:
    def test_an_image_that_is_nowhere(self, bench: Bench) -> None:
        with pytest.raises(ImageUnavailable, match="no-such-image"):
            bench.another(pull=False).prepare_image("127.0.0.1:1/x/no-such-image:v9", None)

    def test_start_never_fetches_an_image(self, bench: Bench) -> None:
        spec = replace(bench.spec("true"), image="127.0.0.1:1/x/no-such-image:v9")
        with pytest.raises(ImageUnavailable, match="no-such-image"):
            bench.executor.start(spec)
        assert bench.executor.inspect(spec.name).phase == Phase.ABSENT

    def test_an_image_off_the_list_is_refused(self, bench: Bench) -> None:
        strict = bench.another(allow_image=lambda image: False)
        with pytest.raises(ImageNotAllowed, match=re.escape(bench.image)):
            strict.prepare_image(bench.image, None)
        spec = bench.spec("true")
        with pytest.raises(ImageNotAllowed):
            strict.start(spec)
        assert strict.inspect(spec.name).phase == Phase.ABSENT

    def test_image_id_and_labels(self, bench: Bench) -> None:
        end = bench.run(bench.spec("true"))
        assert end.image_id == bench.executor.prepare_image(bench.image, None)
        assert end.image_id.startswith("sha256:")
        assert end.labels["org.opencontainers.image.version"] == "v2"


TRY_NETWORK = """
    import json, os, socket, sys
    def tries(family, address):
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(3)
        try:
            sock.connect(address)
            return True
        except OSError:
            return False
        finally:
            sock.close()
    port, abstract, host = int(sys.argv[1]), "\\0" + sys.argv[2], sys.argv[3]
    reached = {
        "host loopback": tries(socket.AF_INET, ("127.0.0.1", port)),
        "host address": tries(socket.AF_INET, (host, port)),
        "internet": tries(socket.AF_INET, ("1.1.1.1", 53)),
        "internet 6": tries(socket.AF_INET6, ("2606:4700:4700::1111", 53)),
        "metadata service": tries(socket.AF_INET, ("169.254.169.254", 80)),
        "docker bridge": tries(socket.AF_INET, ("172.17.0.1", port)),
        "abstract socket": tries(socket.AF_UNIX, abstract),
        "names": False,
    }
    try:
        socket.getaddrinfo("example.org", 80)
        reached["names"] = True
    except OSError:
        pass
    reached["interfaces"] = sorted(name for _, name in socket.if_nameindex() if name != "lo" and
                                   open(f"/proc/net/dev").read().count(name + ":"))
    print(json.dumps(reached))
"""

TRY_WRITING = """
    import json, os, sys
    written = []
    for folder in sys.argv[1:]:
        try:
            os.makedirs(folder, exist_ok=True)
            with open(folder + "/carrel-was-here", "w") as file:
                file.write("x")
            written.append(folder)
        except OSError:
            pass
    print(json.dumps(written))
"""

TRY_PRIVILEGES = """
    import ctypes, json, os
    libc = ctypes.CDLL(None, use_errno=True)
    clone = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
    status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
    def refused(call, *args):
        return call(*args) != 0
    def cannot_write(path, text):
        try:
            with open(path, "w") as file:
                file.write(text)
            return False
        except OSError:
            return True
    print(json.dumps({
        "no new privileges": status["NoNewPrivs"].strip() == "1",
        "no capabilities": all(int(status[key], 16) == 0 for key in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")),
        "no mount": refused(libc.mount, b"none", b"/tmp", b"tmpfs", 0, None),
        "no chroot": refused(libc.chroot, b"/tmp"),
        "no user namespace": refused(libc.unshare, 0x10000000),
        "no mount namespace": refused(libc.unshare, 0x00020000),
        "no namespace by clone": refused(libc.syscall, clone, 0x10000011, 0, 0, 0, 0),
        "no device": refused(libc.mknod, b"/tmp/device", 0o20666, (1 << 8) | 1),
        "no kernel setting": cannot_write("/proc/sys/kernel/core_pattern", "|/tmp/x"),
        "no sysrq": cannot_write("/proc/sysrq-trigger", "h"),
        "no hostname": refused(libc.sethostname, b"x", 1),
        "no reboot": refused(libc.reboot, 0),
        "filtered": status["Seccomp"].strip() == "2",
        **{name: refused(libc.syscall, numbers[os.uname().machine], 0, 0, 0, 0, 0) for name, numbers in {
            "no keyring": {"x86_64": 250, "aarch64": 219},
            "no bpf": {"x86_64": 321, "aarch64": 280},
            "no perf events": {"x86_64": 298, "aarch64": 241},
            "no io_uring": {"x86_64": 425, "aarch64": 425},
            "no kernel log": {"x86_64": 103, "aarch64": 116},
            "no clone3": {"x86_64": 435, "aarch64": 435},
            "no file by its handle": {"x86_64": 304, "aarch64": 265},
            "no userfaultfd": {"x86_64": 323, "aarch64": 282},
        }.items()},
    }))
"""


class Isolated:
    """A job tries, from inside, to get at what is not its own."""

    def test_no_network(self, bench: Bench) -> None:
        abstract = f"carrel-{uuid.uuid4().hex}"
        with socket.create_server(("0.0.0.0", 0)) as server, socket.socket(socket.AF_UNIX) as unix:
            unix.bind("\0" + abstract)
            unix.listen()
            host = _own_address()
            port = server.getsockname()[1]
            assert _reachable(host, port)  # else the test could not fail
            reached = bench.answer(bench.python(TRY_NETWORK, str(port), abstract, host))
        assert isinstance(reached, dict)
        assert reached.pop("interfaces") == []
        assert not [name for name, was in reached.items() if was]

    def test_no_file_of_the_host(self, bench: Bench, tmp_path: Path) -> None:
        secret = tmp_path / "secret.txt"
        secret.write_text("patient data")
        other = bench.workspace()
        (other / "other.csv").write_text("another study")
        places = [secret, tmp_path, other, other / "other.csv", bench.settings.state_dir, Path(__file__), REPOSITORY]
        places += [Path("/var/run/docker.sock"), Path("/run/docker.sock"), Path("/etc/shadow-"), Path("/boot/config")]
        places += [Path("/proc/1/root") / str(place).lstrip("/") for place in (secret, other)]
        code = "import json, os, sys; print(json.dumps([p for p in sys.argv[1:] if os.path.lexists(p)]))"
        assert bench.answer(bench.python(code, *map(str, places))) == []

    def test_no_way_out_of_the_workspace(self, bench: Bench) -> None:
        spec = bench.python(
            """
            import json, os
            os.symlink("../secret.txt", "link")
            seen = []
            for path in ("link", "../secret.txt", "/workspace/../secret.txt", "/proc/self/cwd/../secret.txt"):
                try:
                    seen.append(open(path).read())
                except OSError:
                    pass
            print(json.dumps([seen, sorted(set(os.listdir("/")) & {"secret.txt", "srv-data"})]))
            """
        )
        (spec.workspace.parent / "secret.txt").write_text("beside the workspace")
        assert bench.answer(spec) == [[], []]

    def test_no_process_of_the_host(self, bench: Bench) -> None:
        code = """
            import json, os
            pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
            lines = [open(f"/proc/{pid}/cmdline").read() for pid in pids]
            try:
                os.kill(int(os.environ["AGENT_PID"]), 0)
                killed = True
            except OSError:
                killed = False
            print(json.dumps([max(pids), any("py" + "test" in line for line in lines), killed]))
        """
        highest, seen, killed = bench.answer(bench.python(code, env={"AGENT_PID": str(os.getpid())}))
        assert highest < 50
        assert not seen
        assert not killed

    def test_writes_only_to_workspace_and_tmp(self, bench: Bench) -> None:
        forbidden = [
            "/",
            "/usr",
            "/usr/local/lib",
            "/etc",
            "/var",
            "/var/tmp",
            "/home",
            "/root",
            "/opt",
            "/srv",
            "/run",
        ]
        forbidden += ["/new", "/bin", "/lib", "/proc", "/sys", "/proc/self", "/boot", "/mnt"]
        allowed = ["/workspace", "/workspace/output", "/tmp", "/dev/shm"]
        assert bench.answer(bench.python(TRY_WRITING, *forbidden, *allowed)) == allowed

    def test_tmp_is_its_own(self, bench: Bench) -> None:
        file = f"/tmp/{uuid.uuid4()}"
        first = bench.spec("sh", "-c", f"echo mine > {file} && cat {file}")
        second = bench.spec("sh", "-c", f"test ! -e {file}")
        assert (bench.run(first).exit_code, bench.run(second).exit_code) == (0, 0)
        assert not Path(file).exists()

    def test_mounts_are_read_only_unless_said(self, bench: Bench, tmp_path: Path) -> None:
        data, scratch = tmp_path / "data", tmp_path / "scratch"
        for folder in (data, scratch):
            folder.mkdir()
            (folder / "file.txt").write_text("old")
        code = """
            import json
            seen = [open(f"/{name}/file.txt").read() for name in ("data", "scratch")]
            for name in ("data", "scratch"):
                try:
                    open(f"/{name}/file.txt", "w").write("new")
                except OSError:
                    pass
            print(json.dumps(seen))
        """
        mounts = (Mount(data, "/data"), Mount(scratch, "/scratch", writable=True))
        assert bench.answer(bench.python(code, mounts=mounts)) == ["old", "old"]
        assert [(folder / "file.txt").read_text() for folder in (data, scratch)] == ["old", "new"]

    def test_no_privileges(self, bench: Bench) -> None:
        found = bench.answer(bench.python(TRY_PRIVILEGES))
        assert isinstance(found, dict)
        assert not [name for name, held in found.items() if not held]

    def test_only_sockets_that_the_network_namespace_holds(self, bench: Bench) -> None:
        """AF_VSOCK reaches the hypervisor and other guests, whatever the network namespace; others are odd code."""
        code = """
            import json, socket
            opened = []
            for family in range(1, 50):
                for kind in (1, 2, 3, 5):
                    for protocol in (0, 15):
                        try:
                            socket.socket(family, kind, protocol).close()
                        except OSError:
                            continue
                        opened.append([family, protocol])
            pair = socket.socketpair()
            names = [name for _, name in socket.if_nameindex()]
            print(json.dumps([sorted({family for family, _ in opened}), [16, 15] in opened, "lo" in names]))
        """
        families, uevents, interfaces = bench.answer(bench.python(code))
        assert set(families) <= {1, 2, 10, 16}
        assert {1, 2, 16} <= set(families)
        assert not uevents
        assert interfaces

    def test_nothing_of_proc_tells_of_the_host(self, bench: Bench) -> None:
        code = """
            import json, os, sys
            told = []
            for name in sys.argv[1:]:
                place = "/proc/" + name
                try:
                    content = os.listdir(place) if os.path.isdir(place) else open(place, "rb").read(100)
                except OSError:
                    continue
                if content:
                    told.append(name)
            print(json.dumps(told))
        """
        assert Path("/proc/slabinfo").exists()  # else the test could not fail
        assert bench.answer(bench.python(code, *HIDDEN_IN_PROC)) == []
        needed = (
            "import json; print(json.dumps([bool(open('/proc/' + n).read()) for n in ('cpuinfo', 'meminfo', 'stat')]))"
        )
        assert bench.answer(bench.python(needed)) == [True, True, True]

    def test_programs_start_others_in_every_way(self, bench: Bench) -> None:
        """The filter refuses clone3() and new namespaces, not threads, pools and child processes."""
        code = """
            import concurrent.futures, json, multiprocessing, os, subprocess, threading
            thread = threading.Thread(target=lambda: None); thread.start(); thread.join()
            with concurrent.futures.ProcessPoolExecutor(2) as pool:
                squares = list(pool.map(abs, [-1, -2]))
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                spawned = pool.map(abs, [-3])
            shell = subprocess.run(["sh", "-c", "echo x | cat"], capture_output=True, text=True).stdout
            pid = os.posix_spawn("/bin/true", ["true"], {})
            print(json.dumps([squares, spawned, shell, os.waitpid(pid, 0)[1]]))
        """
        spec = bench.spec("python3", "main.py")
        text = textwrap.indent(textwrap.dedent(code), "    ")
        (spec.workspace / "main.py").write_text(f"if __name__ == '__main__':\n{text}")
        assert bench.answer(spec) == [[1, 2], [3], "x\n", 0]

    def test_a_setuid_program_gains_nothing(self, bench: Bench) -> None:
        spec = bench.python(
            """
            import json, os, shutil, subprocess
            shutil.copy("/usr/bin/id", "id"); os.chmod("id", 0o6755)
            before, after = os.getuid(), int(subprocess.run(["./id", "-u"], capture_output=True).stdout)
            print(json.dumps(before == after))
            """
        )
        assert bench.answer(spec) is True

    def test_the_database_network_or_a_clear_word(self, bench: Bench) -> None:
        if bench.executor.capabilities.database_network:
            return  # tried with a real network in test_docker.py
        spec = bench.spec("true", network=Network(mode="database", name="db", hosts={"db": "10.0.0.1"}))
        with pytest.raises(NotSupported, match="docker or podman"):
            bench.executor.start(spec)
        assert bench.executor.inspect(spec.name).phase == Phase.ABSENT


def _own_address() -> str:
    """An address of this machine other than loopback, if it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
            return str(sock.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def _reachable(host: str, port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex((host, port)) == 0

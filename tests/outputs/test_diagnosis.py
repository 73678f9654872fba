"""Why a program could not be started, read from its file; nothing outside the job's folder is ever looked at."""

import os
from pathlib import Path

import pytest

from carrel.executors.base import Inspection, Phase
from carrel.outputs.diagnosis import notes_on


def notes(workspace: Path, program: str, exit_code: int = 126, **changes: object) -> tuple[str, ...]:
    return notes_on(Inspection(Phase.EXITED, exit_code=exit_code, **changes), workspace, [program, "x"])


def script(workspace: Path, name: str, content: bytes, mode: int = 0o755) -> None:
    (workspace / name).parent.mkdir(parents=True, exist_ok=True)
    (workspace / name).write_bytes(content)
    (workspace / name).chmod(mode)


def test_the_executors_notes_come_first(tmp_path: Path) -> None:
    script(tmp_path, "a.sh", b"#!/bin/sh\n", 0o644)
    first, second = notes(tmp_path, "./a.sh", notes=("Limits: none asked for",))
    assert first == "Limits: none asked for"
    assert second.startswith("Start: ./a.sh is not executable")


@pytest.mark.parametrize("program", ["./a b.py", "/workspace/a b.py", "x/../a b.py"])
def test_the_program_to_put_before_it_is_named(tmp_path: Path, program: str) -> None:
    script(tmp_path, "a b.py", b"print(1)\n", 0o644)
    assert "write `python 'a b.py'`" in notes(tmp_path, program)[0]


def test_of_an_unknown_kind_only_the_mode_is_named(tmp_path: Path) -> None:
    script(tmp_path, "tool.bin", b"x", 0o644)
    assert "is not executable: make it so (chmod +x" in notes(tmp_path, "./tool.bin")[0]


def test_a_program_of_another_processor(tmp_path: Path) -> None:
    own = Path("/proc/self/exe").read_bytes()[:64]
    script(tmp_path, "ours", own)
    script(tmp_path, "theirs", own[:18] + b"\xfe\xfe" + own[20:])
    assert "cannot run: cut short" in notes(tmp_path, "./ours", 126)[0]
    assert "loader or libraries" in notes(tmp_path, "./ours", 127)[0]
    assert notes(tmp_path, "./ours", 2) == ()
    for exit_code in (2, 126, 127):  # a shell may have tried it as a script
        assert "another kind of processor" in notes(tmp_path, "./theirs", exit_code)[0]
    assert "another kind of processor" in notes(tmp_path, "./theirs")[0]


@pytest.mark.parametrize("program", ["python", "/usr/bin/python3", "../outside", "./../outside", "./gone", ""])
def test_nothing_is_said_of_what_is_no_file_of_the_study(tmp_path: Path, program: str) -> None:
    script(tmp_path, "outside", b"#!/secret\n")
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    script(workspace, "python", b"#!/secret\n")
    assert notes(workspace, program, 127) == ()


@pytest.mark.parametrize("exit_code", [0, 1, 3, 125, 128, 137, None])
def test_nothing_is_said_of_other_exit_codes(tmp_path: Path, exit_code: int) -> None:
    script(tmp_path, "a.sh", b"#!/bin/sh\n", 0o644)
    assert notes(tmp_path, "./a.sh", exit_code) == ()


@pytest.mark.parametrize("exit_code", [2, 126, 127])
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.R", b"library(x)\n", "write `Rscript a.R`"),
        ("a.py", b"import os\n", "write `python a.py`"),
        ("a.sh", b"\xef\xbb\xbf#!/bin/sh\n", "byte order mark"),
        ("a.sh", "#!/bin/sh\n".encode("utf-16"), "byte order mark"),
        ("a.exe", b"MZ\x90\x00\x03", "neither a script nor a program"),
        ("a.sh", b"#!/bin/sh -e\r\necho\r\n", "Windows line ends"),
    ],
)
def test_what_a_shell_takes_for_its_own(tmp_path: Path, name: str, content: bytes, words: str, exit_code: int) -> None:
    script(tmp_path, name, content)
    assert words in notes(tmp_path, f"./{name}", exit_code)[0]


@pytest.mark.parametrize(
    ("name", "content"), [("a.sh", b"exit 2\n"), ("a", b"exit 2\n"), ("b.sh", b"#!/bin/sh\nexit 2\n")]
)
def test_nothing_is_said_of_a_script_that_ended_with_2_itself(tmp_path: Path, name: str, content: bytes) -> None:
    script(tmp_path, name, content)
    assert notes(tmp_path, f"./{name}", 2) == ()


def test_a_script_that_a_shell_was_given(tmp_path: Path) -> None:
    script(tmp_path, "a.sh", b"set -e\r\necho\r\n", 0o644)
    script(tmp_path, "b.sh", b"set -e\necho\n", 0o644)
    for shell in ("sh", "bash", "/bin/sh"):
        seen = Inspection(Phase.EXITED, exit_code=127)
        assert "a.sh was saved with Windows line ends" in notes_on(seen, tmp_path, [shell, "a.sh"])[0]
        for words in ([shell, "b.sh"], [shell, "-c", "x"], [shell], [shell, "gone.sh"], ["python", "a.sh"]):
            assert notes_on(seen, tmp_path, words) == ()


def test_a_link_that_the_job_made_is_not_followed(tmp_path: Path) -> None:
    script(tmp_path, "secret", b"#!/secret 1001,34,M\n")
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "a.sh").symlink_to(tmp_path / "secret")
    (workspace / "folder").symlink_to(tmp_path)
    os.mkfifo(workspace / "pipe")
    for program in ("./a.sh", "./folder/secret", "./pipe"):
        assert not any("1001" in note for note in notes(workspace, program, 127))


def test_a_long_first_line_is_cut(tmp_path: Path) -> None:
    script(tmp_path, "a.sh", b"#!/" + b"x" * 10_000_000)
    assert len(notes(tmp_path, "./a.sh", 127)[0]) < 400


def test_a_child_killed_for_memory_in_a_job_that_ended_well(tmp_path: Path) -> None:
    assert "killed because its memory was used up" in notes(tmp_path, "true", 0, oom_killed=True)[0]
    assert notes(tmp_path, "true", 1, oom_killed=True) == ()

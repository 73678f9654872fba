"""`.ci/run` tests the commit, alone: tried on a small repository whose `./just test` only tells what it sees."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / ".ci" / "run"
JUST = """#!/bin/sh
echo "words: $*"
echo "CI: $CI"
echo "input: $(cat | wc -c)"
echo "beside: $(ls -A .. | tr '\\n' ' ')"
echo "files: $(ls -A | tr '\\n' ' ')"
echo "clean: $(git status --porcelain | wc -l)"
echo "sorry" >&2
mkdir -p build/tests
echo "<testsuites/>" >build/tests/suite.xml
exit 7
"""


def git(folder: Path, *words: str) -> None:
    names = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", folder, *names, *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "work" / "carrel"
    (folder / ".ci").mkdir(parents=True)
    shutil.copy(RUN, folder / ".ci" / "run")
    (folder / "just").write_text(JUST)
    (folder / "just").chmod(0o755)
    (folder.parent / "shared").mkdir()
    git(folder, "init", "--quiet")
    git(folder, "add", "-A")
    git(folder, "commit", "--quiet", "-m", "All")
    return folder


def run(repository: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Without standard input, and with temporary files in a folder of this test."""
    (repository.parents[1] / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(repository.parents[1] / "tmp"), **more}
    return subprocess.run(
        ["bash", ".ci/run", *words], cwd=repository, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True,
    )  # fmt: skip


def test_the_commit_is_tested_in_a_clone_with_nothing_beside_it(repository: Path) -> None:
    done = run(repository)
    assert done.stdout.splitlines() == [
        "words: test", "CI: true", "input: 0", "beside: carrel ", "files: .ci .git just ", "clean: 0"
    ]  # fmt: skip
    assert (done.returncode, done.stderr) == (7, "sorry\n")
    assert list((repository.parents[1] / "tmp").iterdir()) == []


def test_how_long_the_tests_took_outlives_the_clone(repository: Path) -> None:
    (repository / "build" / "tests").mkdir(parents=True)
    (repository / "build" / "tests" / "of-an-earlier-run.xml").touch()
    assert run(repository).returncode == 7
    assert [path.name for path in (repository / "build" / "tests").iterdir()] == ["suite.xml"]


def test_what_is_not_committed_is_named_and_not_tested(repository: Path) -> None:
    (repository / "new.py").write_text("")
    done = run(repository, "tests/rules")
    assert "words: test tests/rules\n" in done.stdout
    assert "files: .ci .git just \n" in done.stdout
    assert "what is not committed is not tested:\n?? new.py" in done.stderr


def test_a_hook_of_another_repository_may_call_it(repository: Path) -> None:
    (repository.parent / "other").mkdir()
    git(repository.parent / "other", "init", "--quiet")
    done = run(repository, GIT_DIR=str(repository.parent / "other" / ".git"), GIT_WORK_TREE=str(repository.parent))
    assert "files: .ci .git just \n" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a checkout that is another user's")
def test_root_may_test_what_another_user_checked_out(repository: Path) -> None:
    for path in (repository, *repository.rglob("*")):
        os.chown(path, 65534, 65534)
    assert run(repository).returncode == 7

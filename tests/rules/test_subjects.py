"""The subjects of commits are held to their length: in whole, shallow and foreign clones, and by git's own hook."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "subjects.py"
LONG = "Say in the subject of a commit all that there is to be said of it, at length, and then some"


def git(folder: Path, *words: str) -> str:
    names = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always"]
    return subprocess.run(
        ["git", "-C", folder, *names, *words], check=True, capture_output=True, text=True
    ).stdout.strip()  # fmt: skip


def commit(folder: Path, message: str) -> str:
    git(folder, "commit", "--quiet", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def subjects(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    return subprocess.run(
        [sys.executable, SCRIPT, *words], cwd=folder, env=environment, capture_output=True, text=True
    )  # fmt: skip


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A history whose first commit is older than the rule."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    base = commit(folder, f"{LONG} before the rule")
    (folder / ".ci").mkdir()
    (folder / ".ci" / "subjects-since").write_text(f"{base}\n")
    git(folder, "add", "-A")
    commit(folder, "Begin\n\nA body may have lines of any length: " + LONG)
    return folder


def test_subjects_since_the_base_are_looked_at(repository: Path) -> None:
    assert subjects(repository).returncode == 0
    commit(repository, "x" * 72)
    commit(repository, "ü" * 72)
    assert subjects(repository).returncode == 0
    commit(repository, LONG)
    commit(repository, "Short again")
    done = subjects(repository)
    assert done.returncode == 1
    assert f"91 characters, 72 at most: {LONG}" in done.stderr
    assert "before the rule" not in done.stderr


def test_what_git_writes_of_itself_has_no_limit(repository: Path) -> None:
    git(repository, "checkout", "--quiet", "-b", "branch")
    commit(repository, "On a branch")
    git(repository, "checkout", "--quiet", "main")
    commit(repository, "On main")
    git(repository, "merge", "--quiet", "--no-ff", "-m", f"Merge {LONG}", "branch")
    commit(repository, f'Revert "{LONG}"')
    assert subjects(repository).returncode == 0


def test_a_shallow_clone_looks_at_what_it_has(repository: Path, tmp_path: Path) -> None:
    commit(repository, LONG)
    commit(repository, "Short again")
    for depth, code in ((1, 0), (2, 1), (3, 1), (4, 1)):
        clone = tmp_path / f"depth-{depth}"
        git(tmp_path, "clone", "--quiet", f"--depth={depth}", f"file://{repository}", str(clone))
        assert subjects(clone).returncode == code


def test_where_the_base_is_not_in_the_history_the_last_commit_is_looked_at(repository: Path) -> None:
    (repository / ".ci" / "subjects-since").write_text("0" * 40)
    assert subjects(repository).returncode == 0
    commit(repository, LONG)
    assert subjects(repository).returncode == 1


@pytest.mark.parametrize(
    ("message", "code"),
    [("Short\n\n" + LONG, 0), (f"# {LONG}\n\n{LONG}\n", 1), ("", 0)],
    ids=["long body", "after a remark", "empty"],
)
def test_git_gives_a_message_to_the_hook(tmp_path: Path, message: str, code: int) -> None:
    (tmp_path / "COMMIT_EDITMSG").write_text(message)
    assert subjects(tmp_path, "COMMIT_EDITMSG").returncode == code


def test_no_git_no_history(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(SCRIPT.parents[1] / ".ci" / "subjects-since", tmp_path / ".ci")
    done = subjects(tmp_path)
    assert (done.returncode, "not a git repository" in done.stderr) == (1, True)

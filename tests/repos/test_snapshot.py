"""A folder becomes a commit, whatever runs left in it and whatever its .gitignore says; with git's own program."""

import subprocess
from pathlib import Path

import pytest

from carrel.repos.snapshot import commit_folder

LEFT_BY_RUNS = (
    "metadata/a.log",
    "metadata/jobs/a.json",
    "output/rows.csv",
    ".staging/x/000000",
    ".carrel/secrets.json",
)


def paths_in(repo: Path, commit: str) -> list[str]:
    command = ["git", f"--git-dir={repo}", "ls-tree", "-r", "-z", "--name-only", commit]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")[:-1]


def write(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    write(folder, "project.yaml", "analysis/a.py", "analysis/output/b.py", "output/.gitkeep", "naïve ☕.txt")
    return folder


CODE = ["analysis/a.py", "analysis/output/b.py", "naïve ☕.txt", "output/.gitkeep", "project.yaml"]


@pytest.mark.parametrize(
    "ignored",
    [
        None,
        "/output/\n/metadata/\n",
        "/output\nmetadata\n.carrel\n.staging\n",
        "metadata/*\noutput/*\n!output/.gitkeep\n",
        "*.csv\n*.log\n*.json\n",
    ],
)
def test_what_runs_left_is_no_part_of_it(study: Path, tmp_path: Path, ignored: str | None) -> None:
    write(study, *LEFT_BY_RUNS)
    expected = list(CODE)
    if ignored is not None:
        (study / ".gitignore").write_text(ignored)
        expected.append(".gitignore")
        if "output" in ignored and "!output" not in ignored:
            expected.remove("output/.gitkeep")
    repo = tmp_path / "repo.git"
    commit = commit_folder(study, repo)
    assert sorted(paths_in(repo, commit)) == sorted(expected)


def test_the_same_files_are_the_same_commit_before_and_after_a_run(study: Path, tmp_path: Path) -> None:
    repo = tmp_path / "repo.git"
    before = commit_folder(study, repo)
    write(study, *LEFT_BY_RUNS)
    assert commit_folder(study, repo) == commit_folder(study, tmp_path / "other.git") == before
    (study / "analysis/a.py").unlink()
    after = commit_folder(study, repo)
    assert "analysis/a.py" not in paths_in(repo, after)


def test_a_repository_inside_and_links_are_no_trouble(study: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", study / "inner"], check=True)
    write(study, "inner/x.py")
    (study / "link.py").symlink_to("analysis/a.py")
    repo = tmp_path / "repo.git"
    assert sorted(paths_in(repo, commit_folder(study, repo))) == sorted([*CODE, "link.py"])


def test_a_folder_in_a_repository_is_taken_as_it_lies_there(study: Path, tmp_path: Path) -> None:
    """The example study lies in Carrel's own clone."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    write(study, *LEFT_BY_RUNS)
    repo = tmp_path / "repo.git"
    assert sorted(paths_in(repo, commit_folder(study, repo))) == sorted(CODE)

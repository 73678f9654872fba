"""Mirrors of local repositories: files, branches, tags, and what happens when many ask at once or one is killed."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.disks import small_disk

from carrel.repos import (
    BranchNotFound,
    CommitNotFound,
    Deadline,
    FileNotInRepo,
    FileTooLarge,
    GitError,
    Mirrors,
    NetworkError,
    RepoInfrastructureError,
    RepoNotAllowed,
    RepoNotFound,
    RepoPolicy,
    TagNotFound,
)
from carrel.repos import git as git_module
from carrel.repos.locks import locked

NOWHERE = "f" * 40


def test_reads_a_file_at_each_commit(mirrors, repo):
    first = repo.commit({"project.yaml": "one", "a/b.txt": "b"})
    second = repo.commit({"project.yaml": "two"})
    assert mirrors.read_file(repo.url, first, "project.yaml") == b"one"
    assert mirrors.read_file(repo.url, second, "project.yaml") == b"two"
    assert mirrors.read_file(repo.url, second, "a/b.txt") == b"b"


def test_bytes_come_back_as_they_are(mirrors, repo):
    (repo.path / "data.bin").write_bytes(b"\x00\xff\n\n tail")
    commit = repo.commit({})
    assert mirrors.read_file(repo.url, commit, "data.bin") == b"\x00\xff\n\n tail"


def test_an_empty_file_is_not_an_absent_one(mirrors, repo):
    commit = repo.commit({"empty": ""})
    assert mirrors.read_file(repo.url, commit, "empty") == b""


@pytest.mark.parametrize("path", ["nothing.txt", "a", "a\nb", "../x"])
def test_a_file_that_is_not_there(mirrors, repo, path):
    commit = repo.commit({"a/b.txt": "b"})
    with pytest.raises(FileNotInRepo, match="file found in"):
        mirrors.read_file(repo.url, commit, path)


def test_a_file_read_before_needs_no_repository_and_one_process(mirrors, repo, monkeypatch):
    commit = repo.commit({"project.yaml": "kept"})
    mirrors.read_file(repo.url, commit, "project.yaml")
    repo.path.rename(repo.path.with_name("gone"))
    started = []
    start = git_module.Git._start
    monkeypatch.setattr(git_module.Git, "_start", lambda *args: (started.append(args), start(*args))[1])
    assert mirrors.read_file(repo.url, commit, "project.yaml") == b"kept"
    assert len(started) == 1


def test_a_huge_file_is_not_read(mirrors, repo, monkeypatch):
    commit = repo.commit({"small": "x" * 1024, "huge": "x" * 1025})
    monkeypatch.setattr("carrel.repos.mirrors.MAX_GIT_FILE_BYTES", 1024)
    assert len(mirrors.read_file(repo.url, commit, "small")) == 1024
    with pytest.raises(FileTooLarge, match="The file huge in"):
        mirrors.read_file(repo.url, commit, "huge")


def test_a_git_that_does_not_answer_is_given_up(mirrors, repo, tmp_path, monkeypatch):
    commit = repo.commit({})
    mirrors.ensure_commit(repo.url, commit)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    (tmp_path / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(RepoInfrastructureError):
        mirrors.read_file(repo.url, commit, "project.yaml", Deadline(0.2))


def test_an_unknown_commit(mirrors, repo):
    with pytest.raises(CommitNotFound, match=f"Error fetching commit {NOWHERE} from {repo.url}"):
        mirrors.read_file(repo.url, NOWHERE, "project.yaml")


@pytest.mark.parametrize("commit", ["main", "--upload-pack=x", "abc", "F" * 40, ""])
def test_only_full_hashes_are_commits(mirrors, repo, commit):
    with pytest.raises(CommitNotFound, match="not a full commit hash"):
        mirrors.read_file(repo.url, commit, "project.yaml")


def test_a_repository_that_is_not_there(mirrors, tmp_path):
    url = str(tmp_path / "nothing")
    for ask in (
        lambda: mirrors.read_file(url, NOWHERE, "x"),
        lambda: mirrors.branch_head(url, "main"),
        lambda: mirrors.check_commit_on_branch(url, NOWHERE, "main"),
    ):
        with pytest.raises(RepoNotFound, match=f"Could not read from {url}"):
            ask()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_local_repository_of_another_user(mirrors, repo):
    """Git 2.39 refuses to fetch from it; later ones only refuse to work in it."""
    commit = repo.git("rev-parse", "HEAD")
    subprocess.run(["chown", "-R", "65534", str(repo.path)], check=True)
    alone = {"PATH": os.environ["PATH"], "HOME": str(repo.path.parent), "GIT_CONFIG_NOSYSTEM": "1"}
    if subprocess.run(["git", "ls-remote", repo.path], env=alone, capture_output=True, check=False).returncode == 0:
        assert mirrors.branch_head(repo.url, "main") == commit
    else:
        with pytest.raises(RepoNotFound, match="belongs to another user"):
            mirrors.branch_head(repo.url, "main")


def test_the_policy_is_asked_first(tmp_path, repo):
    closed = Mirrors(tmp_path / "m", RepoPolicy())
    with pytest.raises(RepoNotAllowed, match="does not start with"):
        closed.read_file(repo.url, NOWHERE, "project.yaml")
    assert not (tmp_path / "m").exists()


def test_branch_head_follows_the_branch(mirrors, repo):
    assert mirrors.branch_head(repo.url, "main") == repo.git("rev-parse", "HEAD")
    moved = repo.commit({"x": "y"})
    assert mirrors.branch_head(repo.url, "main") == moved
    repo.git("checkout", "-q", "-b", "feature/main")
    other = repo.commit({"x": "z"})
    assert mirrors.branch_head(repo.url, "feature/main") == other
    assert mirrors.branch_head(repo.url, "main") == moved, "a longer name that ends the same is another branch"


@pytest.mark.parametrize(
    ("branch", "message"), [("", "A branch name must be supplied"), ("x*", r"Could not find branch 'x\*'")]
)
def test_branches_that_are_not(mirrors, repo, branch, message):
    with pytest.raises(BranchNotFound, match=message):
        mirrors.branch_head(repo.url, branch)


@pytest.mark.parametrize("back", [0, 1, 9, 10, 25])
def test_commits_of_a_branch_are_found_however_old(mirrors, repo, back):
    commits = [repo.commit({"n": str(number)}) for number in range(30)]
    mirrors.check_commit_on_branch(repo.url, commits[-1 - back], "main")
    assert mirrors.read_file(repo.url, commits[-1 - back], "n") == str(29 - back).encode()


def test_history_is_found_after_single_commits_were_fetched(mirrors, repo):
    """A commit fetched alone cuts the mirror's history there; looking further back must see through that."""
    commits = [repo.commit({"n": str(number)}) for number in range(20)]
    for commit in (commits[-1], commits[-3], commits[-12]):
        mirrors.ensure_commit(repo.url, commit)
    for commit in (commits[0], commits[-5], commits[-15]):
        mirrors.check_commit_on_branch(repo.url, commit, "main")


def test_a_commit_of_another_branch_is_refused(mirrors, repo):
    repo.git("checkout", "-q", "-b", "other")
    commit = repo.commit({"x": "y"})
    repo.git("checkout", "-q", "main")
    with pytest.raises(CommitNotFound, match=f"Could not find commit on branch 'main': {commit}"):
        mirrors.check_commit_on_branch(repo.url, commit, "main")
    mirrors.check_commit_on_branch(repo.url, commit, "other")
    with pytest.raises(CommitNotFound, match="branch 'main'"):
        mirrors.check_commit_on_branch(repo.url, commit, "main")


def test_a_commit_seen_on_a_branch_needs_no_network_again(mirrors, repo):
    commit = repo.commit({"project.yaml": "x"})
    mirrors.check_commit_on_branch(repo.url, commit, "main")
    repo.path.rename(repo.path.with_name("gone"))
    mirrors.check_commit_on_branch(repo.url, commit, "main")
    with pytest.raises(RepoNotFound):
        mirrors.check_commit_on_branch(repo.url, commit, "elsewhere")


def test_tags(mirrors, repo):
    first = repo.commit({"x": "1"})
    repo.git("tag", "v1")
    second = repo.commit({"x": "2"})
    repo.git("tag", "-a", "v2", "-m", "annotated")
    assert mirrors.resolve_tag(repo.url, "v1") == first
    assert mirrors.resolve_tag(repo.url, "v2") == second, "an annotated tag stands for its commit"
    with pytest.raises(TagNotFound, match="v3"):
        mirrors.resolve_tag(repo.url, "v3")


def test_many_readers_at_once(mirrors, repo):
    commits = [repo.commit({"project.yaml": str(number)}) for number in range(6)]
    with ThreadPoolExecutor(12) as pool:
        read = pool.map(lambda commit: mirrors.read_file(repo.url, commit, "project.yaml"), commits * 4)
        assert list(read) == [str(number).encode() for number in range(6)] * 4


SCRIPT = """
import sys
from pathlib import Path
from carrel.repos import Mirrors, RepoPolicy
root, url, commit = sys.argv[1:]
mirrors = Mirrors(Path(root), RepoPolicy(allow_local_git_repos=True))
mirrors.check_commit_on_branch(url, commit, "main")
print(mirrors.read_file(url, commit, "project.yaml").decode())
"""


def _process(mirrors: Mirrors, repo, commit: str, **env: str) -> subprocess.Popen:
    command = [sys.executable, "-c", SCRIPT, str(mirrors.root), repo.url, commit]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **env}, text=True
    )


def test_many_processes_at_once(mirrors, repo):
    commit = repo.commit({"project.yaml": "mine"})
    repo.commit({"project.yaml": "later"})
    running = [_process(mirrors, repo, commit) for _ in range(4)]
    assert [process.communicate() for process in running] == [("mine\n", "")] * 4


@pytest.mark.parametrize("place", ["repos.mirror.made", "repos.fetched"])
def test_killed_at(mirrors, repo, place):
    commit = repo.commit({"project.yaml": "mine"})
    with _process(mirrors, repo, commit, CARREL_FAULT=place) as killed:
        killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    mirrors.check_commit_on_branch(repo.url, commit, "main")
    assert mirrors.read_file(repo.url, commit, "project.yaml") == b"mine"


def test_leftovers_of_a_killed_git_are_cleared(mirrors, repo):
    mirrors.ensure_commit(repo.url, repo.git("rev-parse", "HEAD"))
    mirror = mirrors.path_of(repo.url)
    commit = repo.commit({"project.yaml": "new"})
    held = mirror / "refs" / "carrel" / "held" / f"{commit}.lock"
    for leftover in (mirror / "shallow.lock", held, mirror / "packed-refs.lock", mirror / "objects/pack/tmp_pack_x"):
        leftover.parent.mkdir(parents=True, exist_ok=True)
        leftover.touch()
    assert mirrors.read_file(repo.url, commit, "project.yaml") == b"new"
    assert not held.exists()


def test_a_mirror_without_a_head_is_made_again(mirrors, repo):
    commit = repo.commit({"project.yaml": "x"})
    mirrors.read_file(repo.url, commit, "project.yaml")
    (mirrors.path_of(repo.url) / "HEAD").write_bytes(b"")
    assert mirrors.read_file(repo.url, commit, "project.yaml") == b"x"


def test_a_lock_held_too_long_is_our_fault_not_the_users(mirrors, repo, tmp_path):
    commit = repo.git("rev-parse", "HEAD")
    mirrors.branch_head(repo.url, "main")
    with locked(mirrors.path_of(repo.url).with_suffix(".lock"), Deadline(5)):
        with pytest.raises(RepoInfrastructureError, match="for too long") as error:
            mirrors.ensure_commit(repo.url, commit, Deadline(0.3))
        assert not isinstance(error.value, GitError)


def test_repositories_of_one_name_have_mirrors_of_their_own(mirrors):
    assert mirrors.path_of("https://github.com/a/study") != mirrors.path_of("https://github.com/b/study")
    assert mirrors.path_of("/x/..").parent == mirrors.root


def test_a_full_disk_is_our_fault_and_passes(mirrors, repo):
    """The mirrors' folder is a file system of 256 KiB; the study is larger. With more room, all is well again."""
    (repo.path / "big.bin").write_bytes(os.urandom(1024 * 1024))
    commit = repo.commit({"project.yaml": "x"})
    with small_disk(mirrors.root, "256k") as disk:
        with pytest.raises(RepoInfrastructureError) as error:
            mirrors.read_file(repo.url, commit, "project.yaml")
        assert not isinstance(error.value, NetworkError)
        disk.change("size=16m")
        assert mirrors.read_file(repo.url, commit, "project.yaml") == b"x"


def test_a_deadline_that_has_passed_is_our_fault(mirrors, repo):
    mirrors.branch_head(repo.url, "main")
    for ask in (mirrors.ensure_commit, mirrors.read_file):
        args = ("project.yaml",) if ask == mirrors.read_file else ()
        with pytest.raises(RepoInfrastructureError):
            ask(repo.url, NOWHERE, *args, Deadline(0))


def test_no_git_is_our_fault(mirrors, repo, tmp_path, monkeypatch):
    mirrors.branch_head(repo.url, "main")
    monkeypatch.setenv("PATH", str(tmp_path / "missing"))
    with pytest.raises(RepoInfrastructureError, match="Is git installed"):
        mirrors.branch_head(repo.url, "main")


def test_users_own_configuration_is_not_read(mirrors, repo, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[this is not valid\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "missing"))
    commit = repo.path.joinpath(".git/refs/heads/main").read_text().strip()
    assert mirrors.read_file(repo.url, commit, "project.yaml") == b"version: '5'\n"


def test_threads_wait_for_each_other(mirrors, repo):
    """While one holds the lock another's fetch waits, then finds the commit there."""
    commit = repo.git("rev-parse", "HEAD")
    mirrors.branch_head(repo.url, "main")
    done = threading.Event()
    with locked(Path(mirrors.path_of(repo.url)).with_suffix(".lock"), Deadline(5)):
        thread = threading.Thread(target=lambda: (mirrors.ensure_commit(repo.url, commit), done.set()))
        thread.start()
        assert not done.is_set()
    thread.join(30)
    assert done.is_set()

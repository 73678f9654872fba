"""Repositories made to harm who reads them: refused as the user's fault, in words, with little read."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.repos.hostile import Bare, Entry
from tests.support.memory import PEAK

from carrel.agent.errors import kind_of
from carrel.jobs.outcomes import ErrorType
from carrel.repos import (
    CheckoutRefused,
    CommitNotFound,
    Deadline,
    FileIsLink,
    FileTooLarge,
    GitError,
    GivenUp,
    Mirrors,
    RepoDamaged,
    RepoTooLarge,
)
from carrel.repos import git as git_module
from carrel.repos.tree import is_gits_own
from carrel.units import limits


@pytest.fixture
def bare(tmp_path: Path) -> Bare:
    return Bare.at(tmp_path / "study.git")


def checked_out(mirrors: Mirrors, bare: Bare, commit: str, dest: Path) -> set[str]:
    mirrors.checkout(bare.url, commit, dest)
    return {str(path.relative_to(dest)) for path in dest.rglob("*") if path.is_symlink() or not path.is_dir()}


def one_file(bare: Bare, name: str | bytes, content: bytes = b"x", mode: str = "100644") -> str:
    return bare.commit(bare.tree([(mode, bare.blob(content), name)]))


def nested(bare: Bare, depth: int, entries: list[Entry]) -> str:
    tree = bare.tree(entries)
    for _ in range(depth):
        tree = bare.tree([("40000", tree, "d")])
    return tree


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (".git", "git's own"),
        (".GIT", "git's own"),
        ("git~1", "git's own"),
        (".git.", "git's own"),
        (".git ", "git's own"),
        (".git::$INDEX_ALLOCATION", "git's own"),
        ("a\\.git", "git's own"),
        (".g\u200cit", "git's own"),
        ("..", "not a plain path"),
        (".", "not a plain path"),
        ("a/../../evil", "not a plain path"),
        ("/abs", "not a plain path"),
        ("a//b", "not a plain path"),
        ("n" * 256, "a name of more than 255 bytes"),
        ("é" * 128, "a name of more than 255 bytes"),
        (b"\xff" * 300, "a name of more than 255 bytes"),
        ("n" * 20_000, "more than 2048 bytes"),
    ],
)
def test_names_that_must_not_be_written(mirrors, bare, tmp_path, name, words):
    commit = one_file(bare, name)
    with pytest.raises(CheckoutRefused, match=words) as refused:
        mirrors.checkout(bare.url, commit, tmp_path / "out")
    assert kind_of(refused.value) == ErrorType.USER_ERROR
    assert len(str(refused.value)) < 1000
    assert str(refused.value).isprintable()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mirrors", "study.git"]


@pytest.mark.parametrize(
    "name", ["a\\b.csv", "a\nb", "--output=x", b"caf\xe9.csv", "x .csv", "n" * 255, ".gitkeep", ".github"]
)
def test_odd_names_that_are_only_odd(mirrors, bare, tmp_path, name):
    commit = one_file(bare, name)
    assert checked_out(mirrors, bare, commit, tmp_path / "out") == {os.fsdecode(name)}


def test_files_that_differ_in_case_are_two(mirrors, bare, tmp_path):
    commit = bare.commit(bare.tree([("100644", bare.blob(b"1"), "A"), ("100644", bare.blob(b"2"), "a")]))
    assert checked_out(mirrors, bare, commit, tmp_path / "out") == {"A", "a"}


@pytest.mark.parametrize("second", ["100644", "40000"])
def test_two_entries_of_one_name(mirrors, bare, tmp_path, second):
    inner = {"100644": bare.blob(b"2"), "40000": bare.tree([("100644", bare.blob(b"2"), "evil")])}
    commit = bare.commit(bare.tree([("120000", bare.blob(b"."), "d"), (second, inner[second], "d")]))
    with pytest.raises(CheckoutRefused, match="is there twice: d"):
        mirrors.checkout(bare.url, commit, tmp_path / "out")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (b"", "1 to 1024 bytes"),
        (b"a" * 1025, "1 to 1024 bytes"),
        (b"ok\0/../../etc", "NUL"),
        (b"../x", "leads outside"),
    ],
)
def test_links_that_cannot_be(mirrors, bare, tmp_path, target, words):
    commit = one_file(bare, "l", target, "120000")
    with pytest.raises(CheckoutRefused, match=words):
        mirrors.checkout(bare.url, commit, tmp_path / "out")


MEASURED = (
    PEAK
    + """
import sys
from pathlib import Path
from carrel.repos import GitError, Mirrors, RepoPolicy
mirrors = Mirrors(Path(sys.argv[1]), RepoPolicy(allow_local_git_repos=True))
before = peak()
try:
    mirrors.checkout(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
except GitError as error:
    print((peak() - before) >> 20, error)
"""
)


def refused_in_mib(mirrors: Mirrors, bare: Bare, commit: str, dest: Path) -> tuple[int, str]:
    """How much memory a process of its own took to refuse a commit, and what it said."""
    command = [sys.executable, "-c", MEASURED, str(mirrors.root), bare.url, commit, str(dest)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    memory, _, words = done.stdout.partition(" ")
    return int(memory), words


def test_a_bomb_of_folders_takes_little_memory(mirrors, bare, tmp_path):
    """A tree of 10 folders ten levels down stands for ten thousand million files."""
    tree = bare.tree([("100644", bare.blob(b"x"), "f")])
    for _ in range(10):
        tree = bare.tree([("40000", tree, f"d{number}") for number in range(10)])
    memory, words = refused_in_mib(mirrors, bare, bare.commit(tree), tmp_path / "out")
    assert f"more than {limits.MAX_GIT_ENTRIES} files and folders" in words
    assert memory < 150


def test_a_bomb_without_any_file(mirrors, bare, tmp_path, monkeypatch):
    monkeypatch.setattr("carrel.repos.tree.MAX_GIT_ENTRIES", 1000)
    tree = bare.tree([])
    for _ in range(8):
        tree = bare.tree([("40000", tree, f"d{number}") for number in range(10)])
    with pytest.raises(CheckoutRefused, match="more than 1000 files and folders"):
        mirrors.checkout(bare.url, bare.commit(tree), tmp_path / "out")


def test_a_huge_link_is_not_read(mirrors, bare, tmp_path):
    commit = bare.commit(bare.tree([("120000", bare.large_blob(200 * limits.MIB), "l")]))
    memory, words = refused_in_mib(mirrors, bare, commit, tmp_path / "out")
    assert "symbolic link whose target has not 1 to 1024 bytes: l" in words
    assert memory < 50


def test_many_links_take_one_process(mirrors, bare, tmp_path, monkeypatch):
    link = bare.blob(b"f")
    links = [("120000", link, f"l{number:06}") for number in range(limits.MAX_GIT_LINKS + 1)]
    commit = bare.commit(bare.tree(links))
    mirrors.ensure_commit(bare.url, commit)
    started = []
    start = git_module.Git._start
    monkeypatch.setattr(git_module.Git, "_start", lambda *args: (started.append(args), start(*args))[1])
    with pytest.raises(CheckoutRefused, match="more than 1000 symbolic links"):
        mirrors.checkout(bare.url, commit, tmp_path / "out")
    assert len(started) == 1
    good = bare.commit(bare.tree(links[1:]))
    mirrors.ensure_commit(bare.url, good)
    started.clear()
    mirrors.checkout(bare.url, good, tmp_path / "out")
    assert len(started) == 3, "the listing, all targets, and the writing"


def test_links_that_lead_through_very_many_others(mirrors, bare, tmp_path, monkeypatch):
    monkeypatch.setattr("carrel.repos.tree.MAX_LINK_STEPS", 100)
    target = bare.blob(b"/".join([b"l0"] * 300))
    commit = bare.commit(bare.tree([("120000", target, f"l{number}") for number in range(3)]))
    with pytest.raises(CheckoutRefused, match="lead through too many others"):
        mirrors.checkout(bare.url, commit, tmp_path / "out")


def test_folders_nested_too_deep(mirrors, bare, tmp_path):
    file: list[Entry] = [("100644", bare.blob(b"x"), "f")]
    good = bare.commit(nested(bare, limits.MAX_GIT_DEPTH - 1, file))
    assert len(checked_out(mirrors, bare, good, tmp_path / "good")) == 1
    deep = bare.commit(nested(bare, limits.MAX_GIT_DEPTH, file))
    with pytest.raises(CheckoutRefused, match="nested deeper than 64"):
        mirrors.checkout(bare.url, deep, tmp_path / "out")


def test_more_bytes_than_there_is_room_for(mirrors, bare, tmp_path, monkeypatch):
    """The same file again and again is small in the repository, and large on disk."""
    monkeypatch.setattr("carrel.repos.tree.MAX_CHECKOUT_BYTES", 10_000)
    blob = bare.blob(b"x" * 1000)
    commit = bare.commit(bare.tree([("100644", blob, f"f{number:02}") for number in range(11)]))
    with pytest.raises(CheckoutRefused, match="together"):
        mirrors.checkout(bare.url, commit, tmp_path / "out")


def test_a_repository_larger_than_git_may_fetch(mirrors, bare, tmp_path, monkeypatch):
    monkeypatch.setattr(git_module, "_LIMITED", 'ulimit -f 64; exec "$0" "$@"')
    (tmp_path / "noise").write_bytes(os.urandom(limits.MIB))
    commit = one_file(bare, "noise", (tmp_path / "noise").read_bytes())
    with pytest.raises(RepoTooLarge, match="too large to be read") as refused:
        mirrors.read_file(bare.url, commit, "noise")
    assert kind_of(refused.value) == ErrorType.USER_ERROR
    monkeypatch.undo()
    assert len(mirrors.read_file(bare.url, commit, "noise")) == limits.MIB


def test_a_huge_commit_message_takes_no_more_memory_than_git_may_have(mirrors, bare, tmp_path, monkeypatch):
    monkeypatch.setattr(git_module, "_LIMITED", 'ulimit -d 40000; exec "$0" "$@"')
    good = one_file(bare, "f")
    assert mirrors.read_file(bare.url, good, "f") == b"x"
    (tmp_path / "message").write_bytes(b"a line of a very long message\n" * 3_000_000)
    long = bare.git("commit-tree", bare.git("rev-parse", "main^{tree}"), "-F", str(tmp_path / "message"))
    bare.git("update-ref", "refs/heads/main", long)
    with pytest.raises(RepoTooLarge, match="too large to be read"):
        mirrors.read_file(bare.url, long, "f")
    assert mirrors.read_file(bare.url, good, "f") == b"x"


def test_git_has_its_limits():
    """The kernel's word for it: what a git that we start may have."""
    shown = subprocess.run(
        ["/bin/sh", "-c", git_module._LIMITED, "/bin/sh", "-c", "cat /proc/self/limits"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    said = {line[:26].strip(): line[26:].split()[0] for line in shown.splitlines()}
    assert said["Max file size"] == str(limits.MAX_GIT_PACK_BYTES)
    assert said["Max data size"] == str(limits.MAX_GIT_MEMORY_BYTES)


def test_an_answer_longer_than_we_listen_to(mirrors, bare, monkeypatch):
    """So many branches, and somebody asks for one called `*`."""
    monkeypatch.setattr(git_module, "MAX_GIT_ANSWER_BYTES", 4096)
    commit = one_file(bare, "f")
    refs = "".join(f"create refs/heads/b{number} {commit}\n" for number in range(200))
    bare.git("update-ref", "--stdin", given=refs.encode())
    with pytest.raises(RepoTooLarge, match="git ls-remote has more than"):
        mirrors.branch_head(bare.url, "*")
    assert mirrors.branch_head(bare.url, "b7") == commit


def test_grafts_of_the_source_bring_no_commit_onto_a_branch(mirrors, bare):
    on_main = one_file(bare, "f")
    elsewhere = bare.git("commit-tree", bare.git("rev-parse", "main^{tree}"), "-m", "elsewhere")
    (bare.path / "info").mkdir(exist_ok=True)
    (bare.path / "info" / "grafts").write_text(f"{on_main} {elsewhere}\n")
    bare.git("update-ref", f"refs/replace/{on_main}", elsewhere)
    with pytest.raises(CommitNotFound):
        mirrors.check_commit_on_branch(bare.url, elsewhere, "main")
    mirrors.check_commit_on_branch(bare.url, on_main, "main")


def test_a_damaged_repository_is_its_owners(mirrors, bare):
    commit = one_file(bare, "")
    with pytest.raises(RepoDamaged, match="git fsck there says where"):
        mirrors.read_file(bare.url, commit, "f")


@pytest.mark.parametrize("path", ["project.yaml", "cfg/project.yaml"])
def test_a_link_is_not_taken_for_a_file(mirrors, bare, tmp_path, path):
    """Git's blob of a link is the name of its target, which may be written to be a project."""
    inner = [("120000", bare.blob(b"{version: 5, actions: {}}"), "project.yaml"), ("100644", bare.blob(b"x"), "x")]
    tree = bare.tree(inner) if "/" not in path else bare.tree([("40000", bare.tree(inner), "cfg")])
    commit = bare.commit(tree)
    with pytest.raises(FileIsLink, match=f"{path} in .* is a symbolic link: put the file itself there"):
        mirrors.read_file(bare.url, commit, path)
    assert mirrors.read_file(bare.url, commit, path.replace("project.yaml", "x")) == b"x"


def test_a_folder_with_too_many_names(mirrors, bare, monkeypatch):
    blob = bare.blob(b"x")
    commit = bare.commit(bare.tree([("100644", blob, f"f{number:04}") for number in range(1000)]))
    assert mirrors.read_file(bare.url, commit, "f0007") == b"x"
    monkeypatch.setattr("carrel.repos.tree.MAX_GIT_FILE_BYTES", 20_000)
    with pytest.raises(FileTooLarge, match="too many files"):
        mirrors.read_file(bare.url, commit, "f0007")


def test_a_checkout_that_nobody_wants_any_more_ends(mirrors, bare, tmp_path, monkeypatch):
    """A git that never ends: told to give up while it runs, or before."""
    commit = one_file(bare, "f")
    mirrors.ensure_commit(bare.url, commit)
    begun, given_up = tmp_path / "begun", threading.Event()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").write_text(f"#!/bin/sh\n: > {begun}\nexec /bin/sleep 600\n")
    (tmp_path / "bin" / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    deadline = Deadline(300, lambda: begun.exists() or given_up.is_set())
    with pytest.raises(GivenUp):
        mirrors.checkout(bare.url, commit, tmp_path / "out", deadline)
    assert not (tmp_path / "out").exists()
    given_up.set()
    with pytest.raises(GivenUp):
        mirrors.read_file(bare.url, commit, "f", deadline)


def test_what_is_refused_is_never_tried_again():
    assert {kind_of(error("x")) for error in GitError.__subclasses__()} <= {ErrorType.USER_ERROR, ErrorType.REFUSED}


@pytest.mark.parametrize(
    "name", [".gitignore", ".gitattributes", ".github", "git", "x.git", ".gitlab-ci.yml", "a.git.b"]
)
def test_names_that_only_look_like_gits(name):
    assert not is_gits_own(name)


def test_modes_do_not_depend_on_our_umask(mirrors, bare, tmp_path):
    inner = bare.tree([("100755", bare.blob(b"x"), "run"), ("104755", bare.blob(b"x"), "setuid")])
    commit = bare.commit(bare.tree([("100644", bare.blob(b"x"), "f"), ("40000", inner, "d")]))
    for umask, dest in ((0o077, "tight"), (0o000, "open")):
        before = os.umask(umask)
        try:
            mirrors.checkout(bare.url, commit, tmp_path / dest)
        finally:
            os.umask(before)
        modes = {
            name: oct((tmp_path / dest / name).stat().st_mode & 0o7777) for name in (".", "f", "d", "d/run", "d/setuid")
        }
        assert modes == {".": "0o755", "f": "0o644", "d": "0o755", "d/run": "0o755", "d/setuid": "0o755"}


def test_what_is_left_out_is_not_written_nor_folders_that_it_empties(mirrors, bare, tmp_path):
    blob = bare.blob(b"x")
    inner = bare.tree([("100644", blob, "old.csv")])
    commit = bare.commit(
        bare.tree([("40000", inner, "metadata"), ("40000", inner, "output"), ("100644", blob, "a.py")])
    )
    mirrors.checkout(bare.url, commit, tmp_path / "out", leave_out=lambda path: path in ("metadata", "output/old.csv"))
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == ["a.py"]

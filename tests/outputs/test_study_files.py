"""What jobs see of a researcher's folder, and that its copy is what a checkout of a commit of it would be."""

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.repos.hostile import IDENTITY

from carrel.outputs.study_files import copy_study, find_study_files, hidden_from_jobs
from carrel.repos import CheckoutRefused, Mirrors, RepoPolicy

HIDDEN = hidden_from_jobs(["output/*.csv", "output/one.txt", "*/deep/*.json"], ["made/before.csv"])


@pytest.mark.parametrize(
    "path",
    [".git", "sub/.git", ".git/config", "metadata", "metadata/a.log", ".staging", ".carrel", "output/a.csv",
     "output/one.txt", "x/deep/y.json", "made/before.csv"],
)  # fmt: skip
def test_hidden(path):
    assert HIDDEN(path)


@pytest.mark.parametrize(
    "path",
    ["project.yaml", "sub/metadata", "Metadata", "output/a.txt", "output/deep/a.csv", ".gitignore", "x/deep/y/z.json",
     "made/before.csv.gz", "sub/.staging"],
)  # fmt: skip
def test_seen(path):
    assert not HIDDEN(path)


def test_no_pattern_hides_nothing_but_ours():
    assert not hidden_from_jobs([])("output/a.csv")


def contents(folder: Path) -> dict[str, tuple[str, bytes]]:
    """Path -> kind and mode, contents or target."""
    found = {}
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        name = str(path.relative_to(folder))
        if stat.S_ISLNK(mode):
            found[name] = ("link", os.fsencode(path.readlink()))
        else:
            found[name] = (oct(mode), b"" if path.is_dir() else path.read_bytes())
    return found


def git(folder: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=folder, env={**os.environ, **IDENTITY}, check=True, capture_output=True)
    return done.stdout.decode().strip()


def both(folder: Path, scratch: Path, patterns: tuple[str, ...] = ()) -> tuple[dict, dict]:
    """What a job gets of the folder as it is, and of a commit of all that is in it."""
    hidden = hidden_from_jobs(patterns)
    local, server = scratch / "local", scratch / "server"
    local.mkdir(parents=True)
    copy_study(folder, find_study_files(folder, hidden), local)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A", "-f")
    git(folder, "commit", "-q", "--allow-empty", "-m", "x")
    mirrors = Mirrors(scratch / "mirrors", RepoPolicy(allow_local_git_repos=True))
    mirrors.checkout(str(folder), git(folder, "rev-parse", "HEAD"), server, leave_out=hidden)
    return contents(local), contents(server)


def a_submodule(folder: Path) -> None:
    inner = folder / "vendor"
    inner.mkdir()
    (inner / "code.py").write_text("x")
    git(inner, "init", "-q")
    git(inner, "add", "-A")
    git(inner, "commit", "-q", "-m", "x")


def link(folder: Path, path: str, target: str) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).symlink_to(target)


def write(folder: Path, path: str | bytes, text: str = "x", mode: int = 0o644) -> None:
    target = folder / os.fsdecode(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    target.chmod(mode)


ODD: dict[str, Callable[[Path], object]] = {
    "link to a file": lambda f: link(f, "cur.py", "lib/m.py"),
    "link to a folder": lambda f: link(f, "analysis/lib", "../lib"),
    "link to a link": lambda f: (link(f, "a", "b"), link(f, "b", "lib")),
    "link through a link": lambda f: (link(f, "a", "lib"), link(f, "b", "a/m.py")),
    "dangling link": lambda f: link(f, "gone", "nowhere/at/all"),
    "links in a circle": lambda f: (link(f, "a", "b"), link(f, "b", "a"), link(f, "self", "self")),
    "link to the top": lambda f: link(f, "lib/top", ".."),
    "link to git's own": lambda f: link(f, "config", ".git/config"),
    "link to an output": lambda f: link(f, "latest.csv", "output/t.csv"),
    "link to metadata": lambda f: link(f, "log", "metadata/a.log"),
    "link that an output matches": lambda f: link(f, "output/l.csv", "../lib/m.py"),
    "committed outputs": lambda f: (write(f, "output/t.csv"), write(f, "output/.gitkeep", "")),
    "a folder of outputs alone": lambda f: (write(f, "output/t.csv"), write(f, "output/deep/t.csv")),
    "outputs below a pattern's folder": lambda f: write(f, "output/x.csv/y.txt"),
    "committed metadata": lambda f: (write(f, "metadata/a.log"), write(f, ".carrel/x"), write(f, ".staging/y")),
    "metadata that is the study's": lambda f: (write(f, "Metadata/a.csv"), write(f, "lib/metadata/a.csv")),
    "programs": lambda f: (write(f, "run.sh", mode=0o755), write(f, "odd.sh", mode=0o711), write(f, "s", mode=0o4755)),
    "private and shut files": lambda f: (write(f, "private", mode=0o600), write(f, "shut", mode=0o400)),
    "open files": lambda f: (write(f, "open", mode=0o666), write(f, "group", mode=0o674)),
    "empty folders": lambda f: (f / "empty/deep").mkdir(parents=True),
    "an empty file": lambda f: write(f, "nothing", ""),
    "odd names": lambda f: [write(f, name) for name in ("a b", "a\nb", "a\\b", "\u3000", "-x", "a'b\"c", b"caf\xe9")],
    "names that differ in case": lambda f: (write(f, "Make.py"), write(f, "make.py")),
    "a long name": lambda f: write(f, "n" * 255),
    "a deep folder": lambda f: write(f, "d/" * 60 + "x"),
    "dot files": lambda f: (write(f, ".gitignore", "secret\n"), write(f, "secret"), write(f, ".github/w.yml")),
    "a submodule": a_submodule,
    "hard links": lambda f: (f / "twin").hardlink_to(f / "lib/m.py"),
}


@pytest.mark.parametrize("odd", ODD)
def test_a_job_gets_the_same_here_and_from_a_commit(tmp_path, odd):
    folder = tmp_path / "study"
    folder.mkdir()
    write(folder, "project.yaml")
    write(folder, "lib/m.py", "x = 1")
    ODD[odd](folder)
    local, server = both(folder, tmp_path / "seen", ("output/*.csv", "output/deep/*.csv"))
    assert local == server
    assert "project.yaml" in local


parts = st.sampled_from(["a", "b", "..", "."])


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a"]), st.lists(parts, min_size=1, max_size=4), max_size=4
    )
)
def test_any_links_are_seen_alike_or_refused_there_and_left_out_here(tmp_path_factory, links):
    top = tmp_path_factory.mktemp("links")
    folder = top / "study"
    write(folder, "d/e/file")
    for path, target in links.items():
        link(folder, path, "/".join(target))
    skipped = find_study_files(folder, hidden_from_jobs(())).skipped
    try:
        local, server = both(folder, top / "seen")
    except CheckoutRefused:
        assert skipped
    else:
        assert not skipped
        assert local == server


@pytest.mark.parametrize("target", ["/etc/hostname", "../outside", "lib/../../x", "{study}/lib/m.py", "x" * 1025])
def test_links_that_a_server_refuses_are_not_copied_and_said_so(tmp_path, target):
    folder = tmp_path / "study"
    write(folder, "lib/m.py")
    link(folder, "l", target.format(study=folder))
    link(folder, "to-it", "l")
    seen = find_study_files(folder, HIDDEN)
    assert set(seen.files) == {"lib/m.py"}
    assert "a server refuses it" in seen.skipped["l"]
    with pytest.raises(CheckoutRefused):
        both(folder, tmp_path / "seen")


def test_what_is_no_file_is_not_copied_and_said_so(tmp_path):
    write(tmp_path, "a.py")
    os.mkfifo(tmp_path / "pipe")
    seen = find_study_files(tmp_path, HIDDEN)
    assert (set(seen.files), seen.skipped) == ({"a.py"}, {"pipe": "it is no file, folder or symbolic link"})


def test_what_goes_while_it_is_copied_is_passed_over(tmp_path):
    write(tmp_path / "study", "a.py")
    write(tmp_path / "study", "scratch~")
    seen = find_study_files(tmp_path / "study", HIDDEN)
    (tmp_path / "study/scratch~").unlink()
    (tmp_path / "copy").mkdir()
    copy_study(tmp_path / "study", seen, tmp_path / "copy")
    assert [path.name for path in (tmp_path / "copy").iterdir()] == ["a.py"]


def test_modes_do_not_depend_on_our_umask(tmp_path):
    write(tmp_path / "study", "d/run.sh", mode=0o755)
    (tmp_path / "copy").mkdir()
    before = os.umask(0o077)
    try:
        copy_study(tmp_path / "study", find_study_files(tmp_path / "study", HIDDEN), tmp_path / "copy")
    finally:
        os.umask(before)
    assert {oct((tmp_path / "copy" / name).stat().st_mode & 0o777) for name in ("d", "d/run.sh")} == {"0o755"}

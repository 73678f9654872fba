"""Writing a tree to disk: exactly its files, and nothing of it reaches out."""

import contextlib
import os
import stat
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrel.repos import CheckoutRefused, RepoInfrastructureError
from carrel.repos.tree import stays_inside


def test_writes_the_tree_of_that_commit(mirrors, repo, tmp_path):
    first = repo.commit({"a.py": "1", "deep/er/b.py": "2"})
    repo.commit({"a.py": "changed", "later.py": "3"})
    mirrors.checkout(repo.url, first, tmp_path / "out")
    written = {
        str(p.relative_to(tmp_path / "out")): p.read_text() for p in (tmp_path / "out").rglob("*") if p.is_file()
    }
    assert written == {"project.yaml": "version: '5'\n", "a.py": "1", "deep/er/b.py": "2"}


def test_keeps_the_executable_bit_and_inner_symlinks(mirrors, repo, tmp_path):
    (repo.path / "run.sh").write_text("#!/bin/sh\n")
    (repo.path / "run.sh").chmod(0o755)
    (repo.path / "link").symlink_to("project.yaml")
    commit = repo.commit({})
    mirrors.checkout(repo.url, commit, tmp_path / "out")
    assert (tmp_path / "out/run.sh").stat().st_mode & stat.S_IXUSR
    assert (tmp_path / "out/link").readlink() == (repo.path / "link").readlink()


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "deep/../../x", "up/../x"])
def test_symlinks_that_lead_outside_are_refused(mirrors, repo, tmp_path, target):
    (repo.path / "deep").mkdir()
    (repo.path / "deep" / "here").symlink_to("..")
    (repo.path / "up").symlink_to("deep/here")
    (repo.path / "link").symlink_to(target)
    commit = repo.commit({})
    with pytest.raises(CheckoutRefused, match=r"The symlink 'link' .* leads outside"):
        mirrors.checkout(repo.url, commit, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert list(tmp_path.glob(".out*")) == []


def test_no_hook_filter_or_submodule_of_the_study_runs(mirrors, repo, tmp_path):
    ran = tmp_path / "ran"
    for hook in ("post-checkout", "post-index-change", "reference-transaction"):
        path = repo.path / ".git" / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {ran}\n")
        path.chmod(0o755)
    repo.git("config", "filter.lfs.smudge", f"touch {ran}; cat")
    inner = repo.git("rev-parse", "HEAD")
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{inner},vendor")
    (repo.path / "vendor").mkdir()
    commit = repo.commit(
        {
            ".gitattributes": "*.bin filter=lfs\n",
            "x.bin": "pointer",
            ".gitmodules": '[submodule "v"]\n\tpath = vendor\n\turl = /tmp\n',
        }
    )
    ran.unlink(missing_ok=True)
    mirrors.checkout(repo.url, commit, tmp_path / "out")
    assert (tmp_path / "out" / "x.bin").read_text() == "pointer"
    assert not list((tmp_path / "out" / "vendor").iterdir())
    assert not ran.exists()


def test_an_empty_folder_may_be_written_to_a_full_one_not(mirrors, repo, tmp_path):
    commit = repo.git("rev-parse", "HEAD")
    (tmp_path / "out").mkdir()
    mirrors.checkout(repo.url, commit, tmp_path / "out")
    with pytest.raises(RepoInfrastructureError, match="Cannot write"):
        mirrors.checkout(repo.url, commit, tmp_path / "out")
    assert (tmp_path / "out" / "project.yaml").exists()


def test_killed_before_the_tree_is_whole_leaves_nothing_that_looks_whole(mirrors, repo, tmp_path):
    commit = repo.git("rev-parse", "HEAD")
    mirrors.ensure_commit(repo.url, commit)
    script = (
        "import sys; from pathlib import Path; from carrel.repos import *; "
        "Mirrors(Path(sys.argv[1]), RepoPolicy(allow_local_git_repos=True))"
        ".checkout(sys.argv[2], sys.argv[3], Path(sys.argv[4]))"
    )
    command = [sys.executable, "-c", script, str(mirrors.root), repo.url, commit, str(tmp_path / "out")]
    subprocess.run(command, env={**os.environ, "CARREL_FAULT": "repos.checkout.written"}, check=False)
    assert not (tmp_path / "out").exists()
    subprocess.run(command, check=True)
    assert (tmp_path / "out" / "project.yaml").exists()
    assert list(tmp_path.glob(".out*")) == []


names = st.sampled_from(["a", "b", "c"])
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
targets = st.lists(st.sampled_from(["a", "b", "c", "..", "."]), min_size=1, max_size=5).map("/".join)


@settings(max_examples=60)
@given(st.dictionaries(paths, targets, max_size=4))
def test_links_said_to_stay_inside_do_so_on_a_real_disk(tmp_path_factory, links):
    """The kernel is the oracle: build the links, resolve them, and see where they come out."""
    root = tmp_path_factory.mktemp("tree") / "root"
    made = _build(root, links)
    for path in made:
        if stays_inside(path, made):
            with contextlib.suppress(
                OSError, RuntimeError
            ):  # leads nowhere, or round in circles: nothing can be read through it
                assert (root / path).resolve(strict=True).is_relative_to(root)


def _build(root, links):
    """Make those of `links` that a git tree could hold together (none below another)."""
    made = {}
    for path, target in sorted(links.items()):
        if not any(path.startswith(f"{other}/") or other.startswith(f"{path}/") for other in made):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).symlink_to(target)
            made[path] = target
    return made


def test_a_loop_of_links_stays_inside():
    assert stays_inside("a", {"a": "b", "b": "a"})

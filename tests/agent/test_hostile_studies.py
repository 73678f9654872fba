"""What a study's repository does to the agent that checks it out: nothing that outlasts its own job."""

import os
import shutil
from pathlib import Path

import pytest
from tests.repos.hostile import Bare
from tests.support.agents import Site, eventually

MERGE_BOMB = "actions:\n  a0: &a0 {k: 1}\n" + "".join(
    f"  a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 10)}]}}\n" for level in range(1, 13)
)


def of(site: Site, bare: Bare, tree: str) -> dict[str, object]:
    """What a task says of a commit of this tree."""
    commit = bare.commit(tree)
    return {
        "repo_url": bare.url,
        "commit": commit,
        "study": {"git_repo_url": bare.url, "commit": commit, "branch": "main"},
    }


def plain_job_runs(site: Site) -> None:
    site.server.add(site.task("plain"))
    assert site.server.final("plain-001")["results"]["exit_code"] == "0"


@pytest.mark.parametrize("kind", ["name", "twice", "link out", "huge link"])
def test_a_tree_that_cannot_be_checked_out_is_the_users_and_not_tried_again(site: Site, kind: str) -> None:
    bare = Bare.at(site.root / "hostile.git")
    blob = bare.blob(b"x")
    tree = {
        "name": [("40000", bare.tree([("100644", blob, "hook")]), ".git")],
        "twice": [("100644", blob, "a"), ("100644", blob, "a")],
        "link out": [("120000", bare.blob(b"../x"), "l")],
        "huge link": [("120000", bare.large_blob(20_000_000), "l")],
    }[kind]
    site.start()
    site.server.add(site.script("true", **of(site, bare, bare.tree(tree))))
    report = site.server.final("job1-001")
    assert report["stage"] == "error", (report, site.log())
    assert report["results"]["error"]["type"] == "user_error"
    plain_job_runs(site)


@pytest.mark.parametrize("kind", ["merge bomb", "link to a project", "deep"])
def test_a_project_file_that_the_agent_reads_as_the_controller_does(site: Site, kind: str) -> None:
    """Each was endless, or the end of the agent, when it had a reader of its own."""
    bare = Bare.at(site.root / "hostile.git")
    file = {
        "merge bomb": ("100644", bare.blob(MERGE_BOMB.encode()), "project.yaml"),
        "link to a project": ("120000", bare.blob(b"target"), "project.yaml"),
        "deep": ("100644", bare.blob(b"[" * 200_000), "project.yaml"),
    }[kind]
    target = ("100644", bare.blob(b"[" * 200_000), "target")
    site.start()
    site.server.add(site.script("mkdir output; echo a > output/x.csv", **of(site, bare, bare.tree([file, target]))))
    assert site.server.final("job1-001")["results"]["exit_code"] == "0"
    assert site.process is not None
    assert site.process.poll() is None


def test_a_job_that_is_cancelled_while_its_code_is_checked_out_ends(site: Site) -> None:
    """A git that never ends with writing the files, as on a disk that hangs."""
    begun, programs = site.root / "begun", site.root / "bin"
    programs.mkdir()
    git = shutil.which("git")
    (programs / "git").write_text(
        f'#!/bin/sh\ncase "$*" in *read-tree*) : > {begun}; exec sleep 600;; esac\nexec {git} "$@"\n'
    )
    (programs / "git").chmod(0o755)
    site.start(PATH=f"{programs}:{os.environ['PATH']}")
    site.server.add(site.task())
    eventually(begun.exists, what="the checkout has not begun")
    cancel = site.server.cancel("job1-001")
    report = site.server.final(cancel)
    assert report["complete"] is True
    assert not list(Path(site.high / "volumes").glob("*/workspace/*"))


PROJECT = """
version: 5
actions:
  make: {run: python:v2 a.py, outputs: {highly_sensitive: {x: output/x.csv}}}
  other: {run: python:v2 b.py, outputs: {highly_sensitive: {y: 'output/y*.csv'}}}
"""


def test_outputs_that_are_committed_are_no_code_and_nobodys_outputs(site: Site) -> None:
    bare = Bare.at(site.root / "committed.git")
    blob = bare.blob(b"a\n1\n")
    outputs = bare.tree([("100644", blob, "x.csv"), ("100644", blob, "y1.csv"), ("100644", blob, "z.csv")])
    entries = [("100644", blob, "log"), ("40000", outputs, "output")]
    tree = bare.tree(
        [
            ("40000", bare.tree(entries[:1]), "metadata"),
            entries[1],
            ("100644", bare.blob(PROJECT.encode()), "project.yaml"),
        ]
    )
    site.start()
    task = site.script(
        "ls output metadata; echo end", output_spec={"output/x.csv": "highly_sensitive"}, **of(site, bare, tree)
    )
    site.server.add(task)
    results = site.server.final("job1-001")["results"]
    assert results["has_unmatched_patterns"] is True
    log = (site.high / "logs/2023-11/os-job-job1/logs.txt").read_text()
    assert "z.csv" in log
    assert "y1.csv" not in log
    assert not (site.high / "workspaces/wspace/output").exists()

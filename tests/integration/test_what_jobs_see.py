"""A job sees the same of one study under `carrel run` and on a server: an odd study, listed by a job in both places."""

import json
import os
import subprocess
from pathlib import Path

from tests.integration.test_parity import locally
from tests.repos.hostile import IDENTITY

from carrel.site.study_requests import StudyRequest

LOOK = """
import hashlib, json, os, stat
seen = {}
for folder, folders, names in os.walk('.'):
    for name in folders + names:
        path = os.path.join(folder, name)
        mode = os.lstat(path).st_mode
        what = oct(mode & 0o111 and 1)
        if stat.S_ISLNK(mode):
            what = 'link to ' + os.readlink(path)
        elif stat.S_ISREG(mode):
            what += ' ' + hashlib.sha256(open(path, 'rb').read()).hexdigest()
        seen[ascii(path)] = what
os.makedirs('output', exist_ok=True)
json.dump(seen, open('output/seen.json', 'w'), indent=1, sort_keys=True)
"""
PROJECT = """
version: '5'
actions:
  make:
    run: python:v2 python look.py
    outputs: {moderately_sensitive: {seen: output/seen.json}}
  committed:
    run: python:v2 python nothing.py
    outputs: {highly_sensitive: {was: output/committed.csv, others: 'made/*.csv'}}
"""
FILES = {
    "project.yaml": PROJECT,
    "look.py": LOOK,
    "nothing.py": "",
    "lib/m.py": "x = 1",
    "output/committed.csv": "n\n1\n",
    "output/.gitkeep": "",
    "made/t.csv": "n\n1\n",
    "metadata/old.log": "x",
    ".carrel/secret": "x",
    "Metadata/a.csv": "n\n",
    "a b\n\\c": "x",
    "\u3000": "x",
    "n" * 250: "x",
    "d/" * 50 + "deep": "x",
    "empty": "",
}
LINKS = {
    "cur.py": "lib/m.py",
    "analysis/lib": "../lib",
    "gone": "nowhere",
    "loop": "loop",
    "latest": "output/committed.csv",
    "made/l.csv": "../lib/m.py",
    "top": ".",
    "config": ".git/config",
}


def git(folder: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=folder, env={**os.environ, **IDENTITY}, check=True, capture_output=True)
    return done.stdout.decode().strip()


def odd_study(folder: Path) -> tuple[Path, str]:
    """A repository with all that is odd, and its commit."""
    for path, text in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    for path, target in LINKS.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).symlink_to(target)
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / os.fsdecode(b"caf\xe9.csv")).write_text("x")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A", "-f")
    git(folder, "commit", "-q", "-m", "x")
    return folder, git(folder, "rev-parse", "HEAD")


def test_a_job_sees_the_same_in_both_places(site, tmp_path):
    repo, commit = odd_study(tmp_path / "oddities")
    asked = StudyRequest(repo=str(repo), commit=commit, branch="main", workspace="oddities", actions=("make",))
    jobs = site.wait(site.submit(asked))
    assert jobs["make"]["status_code"] == "succeeded", jobs
    server = json.loads((site.high("oddities") / "output/seen.json").read_text())
    clone = tmp_path / "here"
    clone.mkdir()
    _, done = locally(site, repo, commit, clone, "make")
    assert done.returncode == 0, done.stdout + done.stderr
    local = json.loads((clone / "oddities/output/seen.json").read_text())
    assert local == server
    assert "'./analysis/lib'" in server
    assert not {name for name in server if "committed.csv" in name or "/made/" in name or "/metadata" in name}

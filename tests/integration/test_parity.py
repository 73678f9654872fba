"""`carrel run` and the server run of one study come to the same; where the contract wants a difference, just that one.

The same commit is run twice: by the real `carrel run` in a clone, and by the site. What the job wrote, its manifest,
its log and its status are then held side by side.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.local import Study

from carrel.local.report import program_lines

OWN = ("job_id", "job_request", "timestamp", "user", "repo")
"""Keys of a manifest's entry that cannot be the same: ids and times, and what a researcher's folder does not have."""
OWN_FIELDS = ("job_definition_id", "job_definition_rap_id", "request_id", "created_at", "completed_at")
"""The same for the fields of a log's summary."""
SUMMARY = "=============JOB SUMMARY============="

YAML = """
version: '5'
actions:
  make:
    run: python:v2 python make.py
    outputs:
      {level}:
        out: {pattern}
"""


def study(script: str, pattern: str = "output/out.csv", extra: str = "") -> dict[str, str]:
    """One action that runs `script`."""
    text = YAML.format(level="moderately_sensitive", pattern=pattern).replace("    run:", f"{extra}    run:")
    return {"project.yaml": text, "make.py": script}


@dataclass(frozen=True)
class Side:
    """What one run of a study left, without what is never the same twice."""

    status: dict[str, tuple[str, str]]
    """action -> (status code, message), as the researcher is told."""
    files: dict[str, bytes]
    """Outputs in the workspace, with their contents."""
    manifest: dict[str, Any]
    printed: dict[str, list[str]]
    """action -> what the program printed."""
    summary: dict[str, list[str]]
    """action -> the log's summary."""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def without_own(manifest: Path, workspace: str) -> dict[str, Any]:
    # A workspace in which nothing was ever published has no manifest: that says the same as an empty one.
    whole = json.loads(manifest.read_text()) if manifest.exists() else {"outputs": {}}
    outputs = {
        path: {key: value for key, value in about.items() if key not in OWN} for path, about in whole["outputs"].items()
    }
    return {"workspace": workspace, "repo": None, **whole, "outputs": outputs}


def summary_of(log: Path) -> list[str]:
    lines = log.read_text().partition(SUMMARY)[2].splitlines()
    return [line for line in lines if line.partition(":")[0] not in OWN_FIELDS]


def logs_of(metadata: Path, actions: list[str]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    logs = {action: metadata / f"{action}.log" for action in actions}
    return {a: program_lines(log) for a, log in logs.items()}, {a: summary_of(log) for a, log in logs.items()}


def on_the_server(site, files: dict[str, str]) -> tuple[Side, Path, str]:
    """The server's side, the repository and the commit."""
    asked, jobs = site.run(files)
    high = site.high(asked.workspace)
    ran = [name for name, job in jobs.items() if job["status_code"] != "dependency_failed"]
    side = Side(
        {name: (jobs[name]["status_code"], jobs[name]["status_message"]) for name in ran},
        contents(high / "output") if (high / "output").exists() else {},
        without_own(site.level4(asked.workspace) / "metadata/manifest.json", asked.workspace),
        *logs_of(high / "metadata", ran),
    )
    return side, Path(asked.repo), asked.commit


def locally(
    site, repo: Path, commit: str, folder: Path, actions: str = "run_all"
) -> tuple[Side, "subprocess.CompletedProcess[str]"]:
    """The local side, and what `carrel run` printed. The folder has the workspace's name."""
    clone = folder / repo.stem
    subprocess.run(["git", "clone", "-q", str(repo), str(clone)], check=True)
    head = subprocess.run(["git", "-C", str(clone), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert head.stdout.strip() == commit
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    env = {
        "EXECUTOR": site.site.executor,
        "TOOLCHAINS_DIR": str(site.site.toolchains),
        "DOCKER_REGISTRY": site.site.extra_env["DOCKER_REGISTRY"],
    }
    local = Study(clone, {**kept, **env})
    try:
        done = local.carrel("run", actions, "--backend", "north")
        assert not local.leftovers()
    finally:
        local.close()
    records = {path.stem: json.loads(path.read_text()) for path in (clone / "metadata/jobs").glob("*.json")}
    # A study's folder is in a repository, a workspace is in none.
    of_git = (".gitkeep", ".gitignore")
    outputs = {path: data for path, data in contents(clone / "output").items() if Path(path).name not in of_git}
    side = Side(
        {name: (record["status_code"], record["status_message"]) for name, record in records.items()},
        outputs,
        without_own(clone / "metadata/manifest.json", repo.stem),
        *logs_of(clone / "metadata", list(records)),
    )
    return side, done


@pytest.fixture
def both(site, tmp_path):
    def run(files: dict[str, str]):
        server, repo, commit = on_the_server(site, files)
        local, done = locally(site, repo, commit, tmp_path)
        shutil.rmtree(tmp_path / repo.stem)
        return local, server, done

    return run


CHAIN = {
    "project.yaml": """
version: '5'
actions:
  first:
    run: python:v2 python first.py "an argument" 'x*'
    outputs: {highly_sensitive: {rows: output/rows.csv, more: output/deep/*.json}}
  second:
    run: python:v2 python second.py
    needs: [first]
    outputs: {moderately_sensitive: {table: output/table.csv, note: output/note.txt}}
""",
    "first.py": """
import os, sys
os.makedirs('output/deep')
open('output/rows.csv', 'w').write('patient_id,x\\n1,2\\n2,3\\n')
for name in 'ab':
    open(f'output/deep/{name}.json', 'w').write('{}')
print(sys.argv[1:], os.environ['OPENSAFELY_BACKEND'], os.getcwd(), os.environ['HOME'], sorted(os.listdir('.')))
""",
    "second.py": """
import csv, os, sys
rows = list(csv.DictReader(open('output/rows.csv')))
open('output/table.csv', 'w').write(f"total\\n{sum(int(r['x']) for r in rows)}\\n")
open('output/note.txt', 'w').write('all is well')
print(sorted(os.listdir('output')), sorted(os.listdir('output/deep')), file=sys.stderr)
""",
}


def test_a_chain_that_succeeds_leaves_the_same_in_all(both):
    local, server, done = both(CHAIN)
    assert done.returncode == 0, done.stdout + done.stderr
    for path in sorted({*local.manifest["outputs"], *server.manifest["outputs"]}):
        assert local.manifest["outputs"].get(path) == server.manifest["outputs"].get(path), path
    assert local == server
    assert set(local.files) == {"rows.csv", "deep/a.json", "deep/b.json", "table.csv", "note.txt"}
    assert "north" in local.printed["first"][0]


def test_an_exit_code_differs_in_what_is_published_alone(both):
    """Locally the outputs are the researcher's own, so what matched is kept (agent.md part 1)."""
    script = "open('output/out.csv', 'w').write('a\\n1\\n'); print('so far so good'); raise SystemExit(3)"
    local, server, done = both(study(script))
    assert done.returncode == 1
    assert local.status == server.status
    assert local.status["make"][0] == "nonzero_exit"
    assert local.printed == server.printed == {"make": ["so far so good"]}
    assert local.summary == server.summary
    assert (local.files, server.files) == ({"out.csv": b"a\n1\n"}, {})
    assert (list(local.manifest["outputs"]), list(server.manifest["outputs"])) == (["output/out.csv"], [])


def test_unmatched_outputs_differ_in_who_may_read_the_names(both):
    script = "open('output/other.csv', 'w').write('a\\n1\\n')"
    local, server, done = both(study(script))
    assert done.returncode == 1
    assert "Did you mean to match one of these files instead?" in done.stdout
    assert "output/other.csv" in done.stdout
    assert local.printed == server.printed
    assert local.summary == server.summary
    assert local.files == server.files == {}
    assert local.status["make"] == ("unmatched_patterns", "\n  No outputs found matching patterns:\n - output/out.csv")
    assert server.status["make"] == (
        "unmatched_patterns",
        "Outputs matching expected patterns were not found. See job log for details.",
    )


def test_an_excluded_file_differs_in_the_count_alone(both):
    local, server, done = both(study("open('output/out.csv', 'w').write('patient_id,a\\n1,2\\n')"))
    assert done.returncode == 0
    assert "invalid moderately_sensitive outputs:" in done.stdout
    assert local.files == server.files == {"out.csv": b"patient_id,a\n1,2\n"}
    assert local.manifest == server.manifest
    assert local.manifest["outputs"]["output/out.csv"]["message"] == "File has patient_id column"
    assert local.summary == server.summary
    said = (
        "Completed successfully, but {} file(s) marked as moderately_sensitive were excluded. See job log for details."
    )
    assert local.status["make"] == ("succeeded", said.format(1))
    assert server.status["make"] == ("succeeded", said.format("some"))


def test_out_of_memory_is_told_in_the_same_words(both):
    script = "x = []\nwhile True: x.append(bytearray(10_000_000))"
    local, server, done = both(study(script, extra="    resources: {memory: 128M}\n"))
    assert done.returncode == 1
    assert local == server
    assert "Job ran out of memory (limit was 0.12GB)" in local.status["make"][1]

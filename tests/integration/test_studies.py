"""Studies end to end, from the request to the files: every status that a study can bring about, on both executors."""

import csv
import json
import os
from pathlib import Path

import pytest

from carrel.clients.rap import RapRefused

YAML = """
version: '5'
actions:
  make:
    run: python:v2 python make.py
    outputs:
      {level}:
        out: {pattern}
"""


def study(
    script: str, level: str = "moderately_sensitive", pattern: str = "output/out.csv", **more: str
) -> dict[str, str]:
    """One action that runs `script`."""
    return {"project.yaml": YAML.format(level=level, pattern=pattern), "make.py": script, **more}


CHAIN = {
    "project.yaml": """
version: '5'
actions:
  first:
    run: python:v2 python first.py
    outputs: {highly_sensitive: {rows: output/rows.csv}}
  second:
    run: python:v2 python second.py
    needs: [first]
    outputs: {moderately_sensitive: {table: output/table.csv}}
""",
    "first.py": "open('output/rows.csv', 'w').write('patient_id,x\\n1,2\\n2,3\\n')",
    "second.py": """
import csv
rows = list(csv.DictReader(open('output/rows.csv')))
open('output/table.csv', 'w').write(f"total\\n{sum(int(r['x']) for r in rows)}\\n")
print('second action here')
""",
}


def outcome(site, *args, **kwargs):
    asked, jobs = site.run(*args, **kwargs)
    (job,) = jobs.values()
    return asked.workspace, job


def test_outputs_of_both_levels_end_where_they_belong(site):
    asked, jobs = site.run(CHAIN)
    assert {name: job["status_message"] for name, job in jobs.items()} == dict.fromkeys(
        ("first", "second"), "Completed successfully"
    )
    high, level4 = site.high(asked.workspace), site.level4(asked.workspace)
    assert (high / "output/table.csv").read_text() == "total\n5\n" == (level4 / "output/table.csv").read_text()
    assert (high / "output/rows.csv").exists()
    assert not (level4 / "output/rows.csv").exists()
    manifest = site.manifest(asked.workspace)
    assert {path: (about["level"], about["row_count"], about["col_count"]) for path, about in manifest.items()} == {
        "output/rows.csv": ("highly_sensitive", None, None),
        "output/table.csv": ("moderately_sensitive", 1, 1),
    }
    assert manifest["output/table.csv"]["commit"] == asked.commit
    assert "second action here" in (level4 / "metadata/second.log").read_text()
    # What a row or the log says is on the secure side only.
    databases = list((site.site.root / "controller").glob("*.sqlite*"))
    assert databases
    assert not any(word in path.read_bytes() for path in databases for word in (b"patient_id", b"second action here"))


def test_the_same_study_on_two_backends_stays_apart(site):
    asked = site.request(CHAIN)
    raps = {backend: site.submit(asked, backend) for backend in ("north", "south")}
    for backend, rap in raps.items():
        jobs = site.wait(rap)
        assert {job["backend"] for job in jobs.values()} == {backend}
        assert site.manifest(asked.workspace, backend)["output/table.csv"]["job_request"] == rap


def test_a_second_request_reuses_what_succeeded_and_force_runs_it_again(site):
    asked, _ = site.run(CHAIN)
    again = site.requests.create(asked, "north")
    assert (again.count, again.details) == (0, "All actions have already completed successfully")
    _, jobs = site.run(CHAIN, "second", name=asked.workspace)
    assert set(jobs) == {"second"}
    _, jobs = site.run(CHAIN, "second", name=asked.workspace, force=True)
    assert set(jobs) == {"first", "second"}


def test_an_exit_code_is_the_users_error_and_publishes_nothing(site):
    workspace, job = outcome(
        site, study("open('output/out.csv', 'w').write('a\\n1\\n'); print('so far so good'); raise SystemExit(3)")
    )
    assert (job["status"], job["status_code"]) == ("failed", "nonzero_exit")
    assert job["status_message"].startswith("Job exited with an error")
    assert not (site.high(workspace) / "output/out.csv").exists()
    assert not (site.level4(workspace) / "output/out.csv").exists()
    assert "so far so good" in site.log(workspace, "make")
    assert "exit_code: 3" in site.log(workspace, "make")


def test_a_failed_run_never_replaces_a_good_output(site):
    good = study("open('output/out.csv', 'w').write('a\\n1\\n')")
    asked, _ = site.run(good)
    bad = study("open('output/out.csv', 'w').write('broken'); raise SystemExit(1)")
    _, jobs = site.run(bad, "make", name=asked.workspace)
    assert jobs["make"]["status_code"] == "nonzero_exit"
    assert (site.high(asked.workspace) / "output/out.csv").read_text() == "a\n1\n"
    assert (site.level4(asked.workspace) / "output/out.csv").read_text() == "a\n1\n"


def test_dependants_of_a_failure_do_not_start(site):
    files = {**CHAIN, "first.py": "raise SystemExit(1)"}
    _, jobs = site.run(files)
    assert jobs["first"]["status_code"] == "nonzero_exit"
    assert (jobs["second"]["status_code"], jobs["second"]["status_message"]) == (
        "dependency_failed",
        "Not starting as dependency failed",
    )


def test_unmatched_outputs_are_named_on_the_secure_side_only(site):
    workspace, job = outcome(site, study("open('output/secret_name.csv', 'w').write('a\\n')"))
    assert job["status_code"] == "unmatched_patterns"
    assert job["status_message"] == "Outputs matching expected patterns were not found. See job log for details."
    log = site.log(workspace, "make")
    assert "No outputs found matching patterns:" in log
    assert "output/secret_name.csv" in log
    assert not (site.high(workspace) / "output/secret_name.csv").exists()


@pytest.mark.parametrize("header", ["patient_id,x", ' "Patient_ID" ,x', "x,PATIENT_ID"])
def test_patient_level_columns_never_reach_level_4(site, header):
    workspace, job = outcome(site, study(f"open('output/out.csv', 'w').write({header!r} + '\\n1,2\\n')"))
    assert job["status"] == "succeeded"
    assert "excluded" in job["status_message"]
    assert not (site.level4(workspace) / "output/out.csv").exists()
    assert (site.level4(workspace) / "output/out.csv.txt").exists()
    about = site.manifest(workspace)["output/out.csv"]
    assert about["excluded"]
    assert "patient_id" in about["message"]
    assert (site.high(workspace) / "output/out.csv").exists()


def test_a_file_of_17_mb_never_reaches_level_4(site):
    script = "open('output/out.json', 'w').write('\"' + 'x' * 17_000_000 + '\"')"
    workspace, job = outcome(site, study(script, pattern="output/out.json"))
    assert job["status"] == "succeeded"
    assert (site.high(workspace) / "output/out.json").stat().st_size == 17_000_002
    assert not (site.level4(workspace) / "output/out.json").exists()
    assert "16" in site.manifest(workspace)["output/out.json"]["message"]


@pytest.mark.parametrize(
    "content", ["'a\\n' + '1\\n' * 5001", "b'a,b\\n\\xff\\xfe,2\\n'"], ids=["too many rows", "not UTF-8"]
)
def test_tables_that_cannot_be_looked_through_never_reach_level_4(site, content):
    mode = "wb" if content.startswith("b") else "w"
    workspace, job = outcome(site, study(f"open('output/out.csv', {mode!r}).write({content})"))
    assert job["status"] == "succeeded"
    assert not (site.level4(workspace) / "output/out.csv").exists()
    assert site.manifest(workspace)["output/out.csv"]["excluded"]


def test_a_symlink_out_of_the_workspace_is_no_output(site):
    workspace, job = outcome(site, study("import os; os.symlink('/etc/passwd', 'output/out.csv')"))
    assert job["status_code"] == "unmatched_patterns"
    assert not (site.high(workspace) / "output/out.csv").exists()
    assert not (site.level4(workspace) / "output/out.csv").exists()


def test_out_of_memory_says_so(site):
    yaml = YAML.format(level="moderately_sensitive", pattern="output/out.csv").replace(
        "run: python", "resources: {memory: 128M}\n    run: python"
    )
    script = "x = []\nwhile True: x.append(bytearray(10_000_000))"
    _, jobs = site.run({"project.yaml": yaml, "make.py": script})
    job = jobs["make"]
    assert job["status_code"] == "nonzero_exit"
    assert "memory" in job["status_message"].lower(), job


def test_a_timeout_stops_the_job_and_says_so(site):
    yaml = YAML.format(level="moderately_sensitive", pattern="output/out.csv").replace(
        "run: python", "resources: {timeout: 1s}\n    run: python"
    )
    _, jobs = site.run({"project.yaml": yaml, "make.py": "import time; time.sleep(600)"})
    assert jobs["make"]["status"] == "failed"
    assert jobs["make"]["status_code"] == "killed_by_admin"
    assert "time" in jobs["make"]["status_message"]


def test_cancelling_kills_the_job_and_keeps_it_cancelled(site):
    asked = site.request(study("import time; print('started', flush=True); time.sleep(600)"))
    rap = site.submit(asked)
    site.wait(rap, until=lambda jobs: jobs["make"]["status_code"] == "executing")
    site.requests.client.cancel(rap, ["make"])
    job = site.wait(rap)["make"]
    assert (job["status"], job["status_code"], job["status_message"]) == (
        "failed", "cancelled_by_user", "Cancelled by user",
    )  # fmt: skip


def test_an_image_that_is_not_there_is_retried_and_then_named(site):
    files = {
        "project.yaml": YAML.format(level="moderately_sensitive", pattern="output/out.csv").replace(
            "python:v2", "r:v99"
        ),
        "make.py": "",
    }
    _, jobs = site.run(files)
    assert jobs["make"]["status"] == "failed"
    assert jobs["make"]["status_code"] in ("internal_error", "job_error")
    assert "image" in jobs["make"]["status_message"].lower() or "toolchain" in jobs["make"]["status_message"].lower()


INSIDE = """
import os, socket
found = {}

def attempt(name, do):
    try:
        found[name] = str(do())
    except (OSError, StopIteration):
        found[name] = 'refused'

def command_line(pid):
    return open(f'/proc/{pid}/cmdline', 'rb').read()

attempt('network', lambda: socket.create_connection(('127.0.0.1', %(port)d), 2))
attempt('dns', lambda: socket.gethostbyname('example.org'))
attempt('store', lambda: os.listdir(%(store)r))
attempt('secrets', lambda: open(%(secrets)r).read())
attempt('home', lambda: open(%(canary)r).read())
attempt('write', lambda: open('/usr/x', 'w'))
attempt('write_etc', lambda: open('/etc/x', 'w'))
attempt('processes', lambda: next(p for p in os.listdir('/proc') if p.isdigit() and b'carrel.agent' in command_line(p)))
attempt('environment', lambda: next(k for k in os.environ if 'TOKEN' in k or 'SECRET' in k or 'DATABASE' in k))
open('output/out.csv', 'w').write('attempt,result\\n' + ''.join(f'{k},{v}\\n' for k, v in found.items()))
"""


def test_a_job_cannot_reach_the_network_other_workspaces_or_the_host(site):
    canary = Path.home() / f".carrel-test-{os.getpid()}"
    canary.write_text("a file of the user's home")
    places = {
        "port": site.site.port,
        "store": str(site.site.high_privacy("north")),
        "secrets": str(site.site.root / "secrets.json"),
        "canary": str(canary),
    }
    try:
        workspace, job = outcome(site, study(INSIDE % places))
    finally:
        canary.unlink()
    assert job["status"] == "succeeded", site.permanent_logs()
    with (site.high(workspace) / "output/out.csv").open() as stream:
        results = {row["attempt"]: row["result"] for row in csv.DictReader(stream)}
    assert results == dict.fromkeys(
        ("network", "dns", "store", "secrets", "home", "write", "write_etc", "processes", "environment"),
        "refused",
    )


# -- requests that are refused

CYCLE = study("")
CYCLE["project.yaml"] = CYCLE["project.yaml"].replace("run: python", "needs: [make]\n    run: python")


@pytest.mark.parametrize(
    ("files", "actions", "words"),
    [
        (study("", pattern="output/*"), ("run_all",), "output paths must have a file type extension at the end"),
        ({"project.yaml": "version: [unclosed"}, ("run_all",), "project.yaml"),
        ({"README.md": "no project"}, ("run_all",), "No project.yaml file found in"),
        (study(""), ("nonsense",), "Action 'nonsense' not found in project.yaml"),
        (CYCLE, ("run_all",), "make"),
    ],
    ids=["bad pattern", "bad yaml", "no project.yaml", "unknown action", "cycle"],
)  # fmt: skip
def test_a_request_that_cannot_run_is_refused_with_the_reason(site, files, actions, words):
    with pytest.raises(RapRefused) as caught:
        site.submit(site.request(files, *actions))
    assert caught.value.status == 400
    assert words in caught.value.details
    assert "Unknown error" not in caught.value.details


def test_a_missing_commit_and_an_unreachable_repository_are_refused(site):
    asked = site.request(CHAIN)
    with pytest.raises(RapRefused, match="Could not find commit"):
        site.requests.create(site.request(CHAIN, commit="f" * 40), "north")
    with pytest.raises(RapRefused, match="Could not read from"):
        site.requests.create(site.request(CHAIN, repo=asked.repo + "-gone"), "north")
    with pytest.raises(RapRefused, match="does not belong to one of the following"):
        site.requests.create(site.request(CHAIN, repo="https://github.com/nobody/study"), "north")


def test_nothing_sensitive_is_in_the_controllers_database(site):
    secret = "zebra-7781"
    script = f"import sys; open('output/{secret}.csv', 'w').write('x'); print('{secret}'); raise ValueError('{secret}')"
    asked, jobs = site.run(study(script))
    assert secret in site.log(asked.workspace, "make")
    assert secret not in json.dumps(jobs)
    kept = [
        path
        for path in (site.site.root / "controller").rglob("*")
        if path.is_file() and "repos" not in path.parts and ".git" not in str(path)
    ]
    assert any(".sqlite" in path.name for path in kept)
    assert [path for path in kept if secret.encode() in path.read_bytes()] == []

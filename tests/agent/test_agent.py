"""A real agent process against a real (small) controller: what each kind of ending leaves on disk, and what leaves."""

import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.agents import Site, eventually, make_repo
from tests.support.mistakes import MISTAKES

LEVEL4 = {"output/*.csv": "moderately_sensitive"}
HIGH = {"output/*.csv": "highly_sensitive"}
RESULT_KEYS = {
    "exit_code", "docker_image_id", "status_message", "hint", "timestamp_ns", "action_version", "action_revision",
    "action_created", "base_revision", "base_created", "has_unmatched_patterns", "has_level4_excluded_files", "error",
    "job_metrics",
}  # fmt: skip


def _run(site: Site, task: dict) -> dict:
    if site.process is None:
        site.start()
    site.server.add(task)
    return site.server.final(task["id"])


def _metadata(site: Site, job_id: str = "job1") -> dict:
    return json.loads((site.high / f"logs/2023-11/os-job-{job_id}/metadata.json").read_text())


def _log(site: Site, job_id: str = "job1") -> str:
    return (site.high / f"logs/2023-11/os-job-{job_id}/logs.txt").read_text()


def _manifest(site: Site) -> dict:
    path = site.medium / "workspaces/wspace/metadata/manifest.json"
    return json.loads(path.read_text())["outputs"] if path.exists() else {}


def _cleaned(site: Site) -> bool:
    return not [path for path in (site.high / "volumes").iterdir() if path.is_dir()]


def test_a_good_job(site: Site) -> None:
    report = _run(site, site.task(output_spec=LEVEL4))
    assert set(report["results"]) == RESULT_KEYS
    assert report["results"]["exit_code"] == "0"
    assert report["results"]["error"] is False
    assert report["stage"] == "finalized"
    order = ["preparing", "prepared", "executing", "executed", "finalizing", "finalized"]
    stages = list(dict.fromkeys(site.server.stages("job1-001")))  # one that lasts is told again
    assert stages == [stage for stage in order if stage in stages]
    assert (site.high / "workspaces/wspace/output/x.csv").read_text() == "a,b\n1,2\n"
    assert (site.medium / "workspaces/wspace/output/x.csv").read_text() == "a,b\n1,2\n"
    entry = _manifest(site)["output/x.csv"]
    assert (entry["level"], entry["row_count"], entry["col_count"], entry["size"]) == ("moderately_sensitive", 1, 2, 8)
    log = (site.medium / "workspaces/wspace/metadata/make.log").read_text()
    assert "Z done\n\n=============JOB SUMMARY=============\njob_definition_id: job1\n" in log
    assert log.endswith(
        "outputs:\n  output/x.csv  - moderately_sensitive\n\nNotes:\n  output/x.csv: the disclosure rules found: "
        "small-count 2 (`carrel check-outputs` shows the cells)\n"
    )
    eventually(lambda: _cleaned(site), what="the working folder is still there")


def test_a_failed_job_never_replaces_good_outputs(site: Site) -> None:
    _run(site, site.task())
    before = _manifest(site)
    report = _run(site, site.script("mkdir output; echo bad > output/x.csv; echo why; exit 3", job_id="job2"))
    assert report["results"]["exit_code"] == "3"
    assert report["results"]["status_message"] is None
    assert (site.high / "workspaces/wspace/output/x.csv").read_text() == "a,b\n1,2\n"
    assert _manifest(site) == before
    assert (site.high / "logs/2023-11/os-job-job2/outputs/output/x.csv").read_text() == "bad\n"
    assert "why" in (site.medium / "workspaces/wspace/metadata/make.log").read_text()


def test_unmatched_patterns_publish_nothing_and_no_name_leaves(site: Site) -> None:
    task = site.script(
        "mkdir output; echo 1 > output/secret-name.csv", output_spec={"output/other.csv": "highly_sensitive"}
    )
    report = _run(site, task)
    assert report["results"]["has_unmatched_patterns"] is True
    assert report["results"]["status_message"] == report["results"]["hint"] == ""
    assert "secret-name" not in json.dumps(site.server.updates)
    assert "other.csv" not in json.dumps(site.server.updates)
    assert "Did you mean to match one of these files instead?\n - output/secret-name.csv" in _log(site)
    assert not (site.high / "workspaces/wspace/output").exists()


def test_excluded_files_leave_a_stub_and_take_the_old_copy_away(site: Site) -> None:
    _run(site, site.task(output_spec=LEVEL4))
    task = site.script("mkdir output; printf 'patient_id\\n1\\n' > output/x.csv", job_id="job2", output_spec=LEVEL4)
    report = _run(site, task)
    assert report["results"]["has_level4_excluded_files"] is True
    assert report["results"]["status_message"] == (
        "Completed successfully, but 1 file(s) marked as moderately_sensitive were excluded. See job log for details."
    )
    level4 = site.medium / "workspaces/wspace/output"
    assert [path.name for path in level4.iterdir()] == ["x.csv.txt"]
    assert _manifest(site)["output/x.csv"]["excluded"] is True
    assert _manifest(site)["output/x.csv"]["message"] == "File has patient_id column"
    assert "Invalid moderately_sensitive outputs:\n  output/x.csv  - File has patient_id column" in _log(site, "job2")
    _run(site, site.task(job_id="job3", output_spec=LEVEL4))
    assert [path.name for path in level4.iterdir()] == ["x.csv"]


def test_columns_that_may_identify_people_are_told_and_bar_where_the_policy_says_so(
    make_site: Callable[..., Site],
) -> None:
    script = "mkdir output; printf 'nhs_number,n\\nx,10\\n' > output/x.csv"
    note = "Notes:\n  output/x.csv: a column of this name may identify people (nhs_number)\n"
    lenient = make_site("lenient")
    _run(lenient, lenient.script(script, output_spec=LEVEL4))
    assert note in _log(lenient)
    assert (lenient.medium / "workspaces/wspace/output/x.csv").exists()
    strict = make_site("strict", LEVEL4_BARS_IDENTIFIERS="true")
    report = _run(strict, strict.script(script, output_spec=LEVEL4))
    assert report["results"]["has_level4_excluded_files"] is True
    assert _manifest(strict)["output/x.csv"]["message"] == "File has nhs_number column"
    assert not (strict.medium / "workspaces/wspace/output/x.csv").exists()


def test_an_output_made_highly_sensitive_leaves_level_4(site: Site) -> None:
    _run(site, site.task(output_spec=LEVEL4))
    _run(site, site.task(job_id="job2", output_spec=HIGH))
    assert not (site.medium / "workspaces/wspace/output/x.csv").exists()


def test_outputs_not_made_again_are_marked_and_stay(site: Site) -> None:
    _run(site, site.task())
    _run(site, site.script("mkdir output; echo 1 > output/y.csv", job_id="job2"))
    assert _manifest(site)["output/x.csv"]["out_of_date_output"] is True
    assert "out_of_date_output" not in _manifest(site)["output/y.csv"]
    _run(site, site.script("mkdir output; echo 1 > output/z.csv", job_id="job3", action="gone"))
    _run(site, site.task(job_id="job4"))
    assert _manifest(site)["output/z.csv"]["out_of_date_action"] is True
    assert (site.high / "workspaces/wspace/output/z.csv").exists()


HOSTILE = """
mkdir -p output metadata ../escape 2>/dev/null
printf 'n\\n1\\n' > output/good.csv
ln -s /etc/passwd output/passwd.csv
ln -s / root
mkfifo output/pipe.csv
mkdir -p deep/a; printf 'n\\n' > 'output/new
line.csv'
printf 'n\\n' > metadata/sneaky.csv
"""


def test_hostile_outputs_are_refused_and_listed(site: Site) -> None:
    spec = {"output/*.csv": "moderately_sensitive", "*/*/passwd": "highly_sensitive", "meta*/*.csv": "highly_sensitive"}
    report = _run(site, site.script(HOSTILE, output_spec=spec))
    assert report["results"]["has_unmatched_patterns"] is True
    assert list(_metadata(site)["outputs"]) == ["output/good.csv"]
    log = _log(site)
    assert "output/passwd.csv  - it is a symbolic link" in log
    assert "output/pipe.csv  - it is a named pipe" in log
    assert "output/new\\nline.csv  - its name holds control characters" in log
    kept = site.high / "logs/2023-11/os-job-job1/outputs"
    assert [path.name for path in kept.rglob("*") if path.is_file()] == ["good.csv"]


def test_inputs_are_there_and_the_store_cannot_be_changed_through_them(site: Site) -> None:
    _run(site, site.script("mkdir output; head -c 9000000 /dev/zero > output/big.csv; echo 1 > output/small.csv"))
    script = (
        "cat output/small.csv && wc -c < output/big.csv; echo 2 > output/small.csv; echo > output/big.csv; echo > y"
    )
    report = _run(
        site, site.script(script, job_id="job2", input_job_ids=["job1"], output_spec={"y": "highly_sensitive"})
    )
    assert report["results"]["exit_code"] == "0"
    assert "Z 9000000" in _log(site, "job2")
    assert (site.high / "workspaces/wspace/output/small.csv").read_text() == "1\n"
    assert (site.high / "workspaces/wspace/output/big.csv").stat().st_size == 9000000


def test_a_missing_input_names_the_action_and_not_the_file(site: Site) -> None:
    _run(site, site.task())
    (site.high / "workspaces/wspace/output/x.csv").unlink()
    report = _run(site, site.task(job_id="job2", input_job_ids=["job1"]))
    error = report["results"]["error"]
    assert (error["type"], error["stage"], error["action"]) == ("input_missing", "preparing", "make")
    assert "x.csv" not in json.dumps(report)
    assert error["reference"] in _log(site, "job2")
    assert "The file output/x.csv doesn't exist in workspace wspace as requested for job job1" in _log(site, "job2")


def test_inputs_that_a_later_job_of_the_action_replaced_are_not_taken_for_those_asked_for(site: Site) -> None:
    _run(site, site.task())
    _run(site, site.task(job_id="later"))
    report = _run(site, site.script("cat output/x.csv", job_id="job2", action="read", input_job_ids=["job1"]))
    error = report["results"]["error"]
    assert (error["type"], error["stage"], error["action"]) == ("input_replaced", "preparing", "make")
    assert "output/x.csv of job job1 was replaced by job later" in _log(site, "job2")
    report = _run(site, site.script("cat output/x.csv", job_id="job3", action="read", input_job_ids=["later"]))
    assert report["results"]["exit_code"] == "0"


def test_an_input_that_another_action_has_replaced_is_as_good_as_gone_unless_that_is_needed_too(site: Site) -> None:
    _run(site, site.task())
    both = {"action": "change", "output_spec": {"output/*.csv": "highly_sensitive"}, "input_job_ids": ["job1"]}
    _run(site, site.script("echo 2 > output/x.csv", job_id="other", **both))
    report = _run(site, site.script("cat output/x.csv", job_id="job2", action="read", input_job_ids=["job1"]))
    assert (report["results"]["error"]["type"], report["results"]["error"]["action"]) == ("input_missing", "make")
    report = _run(site, site.script("cat output/x.csv", job_id="job3", action="read", input_job_ids=["job1", "other"]))
    assert report["results"]["exit_code"] == "0"


@pytest.mark.parametrize(
    "words",
    [
        {"memory_limit": "inf"},
        {"memory_limit": "nan"},
        {"memory_limit": "9" * 400 + "G"},
        {"memory_limit": "-1G"},
        {"memory_limit": "\u0663G"},
        {"created_at": 10**30},
        {"id": "../job"},
        {"input_job_ids": [""]},
        {"action": ""},
        {"workspace": ""},
    ],
)
def test_one_tasks_words_never_stop_the_others(site: Site, words: dict) -> None:
    site.start()
    odd = site.task(job_id="odd")
    odd["definition"] |= words
    site.server.add(odd)
    site.server.add(site.task())
    assert site.server.final("job1-001")["results"]["exit_code"] == "0"
    assert site.server.final("odd-001")["results"]["error"]
    site.server.add(site.task(job_id="after"))
    assert site.server.final("after-001")["results"]["exit_code"] == "0"


def test_a_bad_commit_ends_the_job_and_its_log_says_why(site: Site) -> None:
    report = _run(site, site.task(commit="0" * 40))
    assert report["results"]["error"]["type"] == "user_error"
    assert "0" * 40 in (site.medium / "workspaces/wspace/metadata/make.log").read_text()


def test_a_repository_that_is_not_allowed_is_refused(site: Site) -> None:
    report = _run(site, site.task(repo_url="https://example.org/evil/repo"))
    assert report["results"]["error"]["type"] == "refused"


def test_an_archived_workspace_is_refused(site: Site) -> None:
    (site.high / "archives").mkdir(parents=True)
    (site.high / "archives/wspace.tar.gz").touch()
    report = _run(site, site.task())
    assert report["results"]["error"]["type"] == "workspace_archived"
    assert "Workspace wspace has been archived. Contact the OpenSAFELY tech team to resolve" in _log(site)


def test_a_task_that_makes_no_sense_disturbs_no_other(site: Site) -> None:
    site.start()
    bad = site.task(job_id="job2")
    bad["definition"] = {"id": "job2"}
    site.server.add(bad)
    site.server.add({**site.task(job_id="job3", workspace="../../etc")})
    site.server.add({**site.task(job_id="job4"), "type": "unheard-of"})
    assert _run(site, site.task())["results"]["exit_code"] == "0"
    for job in ("job2", "job3", "job4"):
        assert site.server.final(f"{job}-001")["results"]["error"]["type"] == "bad_task"


def test_a_database_is_for_database_actions_only(site: Site) -> None:
    report = _run(site, site.task(allow_database_access=True, database_name="default"))
    assert report["results"]["error"]["type"] == "refused"


def test_a_database_that_is_not_configured(site: Site) -> None:
    task = site.task(allow_database_access=True, database_name="full", image="ghcr.io/opensafely-core/sqlrunner:v1")
    report = _run(site, task)
    assert report["results"]["error"]["type"] == "database_unavailable"


def test_cancelling_a_running_job_keeps_its_log_out_of_the_workspace(site: Site) -> None:
    site.start()
    site.server.add(site.script("echo begun; sleep 1000"))
    site.server.wait_for(lambda: "executing" in site.server.stages("job1-001"))
    report = site.server.final(site.server.cancel("job1-001"))
    assert report["results"]["exit_code"] == "137" or report["results"]["exit_code"] is None
    assert report["results"]["status_message"] == "Job cancelled by system"
    assert "status_message: Job cancelled by system" in _log(site)
    assert not (site.high / "workspaces/wspace/metadata").exists()
    eventually(lambda: _cleaned(site))


def test_cancelling_what_never_began(site: Site) -> None:
    site.server.add(site.task())
    cancel = site.server.cancel("job1-001")
    site.start()
    assert site.server.final(cancel)["results"]["status_message"] == "Job cancelled by system"
    eventually(lambda: _cleaned(site))


def test_cancelling_what_is_finished_changes_nothing(site: Site) -> None:
    _run(site, site.task())
    before = _metadata(site)
    site.server.tasks["job1-001"] = site.task()
    report = site.server.final(site.server.cancel("job1-001"))
    assert report["results"]["status_message"] == "Completed successfully"
    assert _metadata(site) == before


def test_a_job_past_its_time_limit_is_stopped(site: Site) -> None:
    task = site.script("sleep 1000")
    task["carrel"]["timeout_seconds"] = 0.5
    report = _run(site, task)
    assert report["results"]["timed_out"] is True
    assert "longer than its time limit of 0.5 seconds" in _log(site)


def test_a_job_goes_on_while_the_agent_is_away(site: Site, tmp_path: Path) -> None:
    site.start()
    site.server.add(
        site.script(f"while ! test -e {tmp_path}/go; do sleep 0.05; done; mkdir output; echo 1 > output/x.csv")
    )
    site.server.wait_for(lambda: "executing" in site.server.stages("job1-001"))
    site.kill()
    (tmp_path / "go").touch()
    site.start()
    assert site.server.final("job1-001")["results"]["exit_code"] == "0"


def test_a_withdrawn_attempt_is_stopped_and_publishes_nothing(site: Site) -> None:
    site.start()
    site.server.add(site.script("sleep 1000"))
    site.server.wait_for(lambda: "executing" in site.server.stages("job1-001"))
    site.server.withdraw("job1-001")
    eventually(lambda: _cleaned(site))
    assert not (site.high / "logs/2023-11").exists()


def test_a_process_that_vanished_is_reported_as_lost(site: Site) -> None:
    site.start()
    site.server.add(site.script("sleep 1000"))
    site.server.wait_for(lambda: "executing" in site.server.stages("job1-001"))
    eventually(lambda: '"done": true' in (site.high / "volumes/job1-001/started.json").read_text())
    site.kill()
    _executor(site).remove("os-job-job1-001")
    site.start()
    assert site.server.final("job1-001")["results"]["error"]["type"] == "lost"


def _executor(site: Site):
    from carrel.executors.process import ProcessExecutor

    return ProcessExecutor(site.root / "work" / "executor")


def test_what_belongs_to_no_attempt_is_collected(site: Site) -> None:
    from carrel.executors.base import RunSpec

    stray = site.high / "volumes/job9-001/workspace"
    stray.mkdir(parents=True)
    (site.high / "volumes/.trash-x").mkdir()
    _executor(site).start(RunSpec(name="os-job-job9-001", image="python:v2", args=("sleep", "1000"), workspace=stray))
    site.start()
    eventually(lambda: _cleaned(site) and not _executor(site).list(), what="leftovers are still there")


def test_a_second_agent_on_the_same_storage_says_who_holds_it(site: Site) -> None:
    _run(site, site.task())
    other = Site(site.root, site.server, site.repo, site.commit).start()
    assert other.wait(20) == 1
    assert f"is in use by the agent of test (process {site.process.pid} on " in site.log()


def test_leases_are_renewed_while_a_job_runs(site: Site) -> None:
    task = site.script("sleep 1000")
    task["carrel"]["lease_seconds"] = 0.6
    site.server.add(task)
    site.start()
    eventually(lambda: len(site.server.heartbeats) > 1)
    assert site.server.heartbeats[0] == {"job1-001": "token-job1-001"}


def test_a_task_arriving_at_an_idle_agent_is_not_waited_for(site: Site) -> None:
    _run(site, site.task())
    before = len([request for request in site.server.requests if request[0] == "GET"])
    time.sleep(0.5)  # an idle agent asks nothing meanwhile: it is being held
    after = len([request for request in site.server.requests if request[0] == "GET"])
    assert after - before <= 2


def test_many_attempts_at_once(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.start()
    for number in range(6):
        script = f"mkdir output; echo {number} > output/x{number}.csv"
        site.server.add(site.script(script, job_id=f"many{number}", action=f"action{number}"))
    for number in range(6):
        assert site.server.final(f"many{number}-001")["results"]["exit_code"] == "0"
    assert sorted(_manifest(site)) == [f"output/x{number}.csv" for number in range(6)]


def test_secrets_and_long_tables_in_a_log(make_site: Callable[..., Site]) -> None:
    site = make_site(PRIVATE_REPO_ACCESS_TOKEN="hush-hush-token")
    lines = "for i in $(seq 60); do echo $i,2,3; done; echo hush-hush-token; mkdir output; echo 1 > output/x.csv"
    _run(site, site.script(lines))
    copy = (site.medium / "workspaces/wspace/metadata/make.log").read_text()
    assert "hush-hush" not in copy
    assert copy.startswith("NOTE FOR OUTPUT CHECKERS: this log holds a table of 60 lines.")
    assert "hush-hush-token" in _log(site)


def test_a_long_log_keeps_its_head_and_tail(make_site: Callable[..., Site]) -> None:
    site = make_site(MAX_LOG_BYTES="5000")
    _run(site, site.script("seq 100000; mkdir output; echo 1 > output/x.csv"))
    log = _log(site)
    assert len(log) < 8000
    assert "Z 1\n" in log
    assert "Z 100000\n" in log
    assert "bytes" in log


def test_reusable_action_code_comes_from_its_own_repository(site: Site, tmp_path: Path) -> None:
    repo = tmp_path / "action"
    repo.mkdir()
    commit = make_repo(repo, {"code/make.sh": "mkdir output; echo reused > output/x.csv"})
    report = _run(site, site.task(repo_url=str(repo), commit=commit))
    assert report["results"]["exit_code"] == "0"
    assert (site.high / "workspaces/wspace/output/x.csv").read_text() == "reused\n"
    assert _manifest(site)["output/x.csv"]["repo"] == str(repo)


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("BACKEND", "nonsense", "BACKEND is 'nonsense', which is not in BACKENDS (test,tpp,emis,ted)"),
        ("EXECUTOR", "slurm", "EXECUTOR=slurm is not one of auto, "),
        ("LONG_POLL_SECONDS", "2h", "LONG_POLL_SECONDS: "),
    ],
)
def test_an_agent_that_cannot_start_says_why(site: Site, setting: str, value: str, sentence: str) -> None:
    assert site.start(**{setting: value}).wait(60) == 1
    assert f"The agent cannot start. {sentence}" in site.log()
    assert "Traceback" not in site.log()


def test_plain_processes_are_refused_beside_a_database(site: Site) -> None:
    assert site.start(DEFAULT_DATABASE_URL="postgresql://x/y").wait(20) == 1
    assert "EXECUTOR=process runs jobs without any isolation" in site.log()


def _check_task(kind: str, **definition: object) -> dict:
    image = {"image": "ghcr.io/opensafely-core/tpp-database-utils:latest", "image_sha": None}
    task = {"id": f"{kind}-2026-01-01-0", "backend": "test", "type": kind, "definition": {**image, **definition}}
    return {**task, "attributes": {}, "created_at": 1, "carrel": {"attempt_token": "t"}}


def test_database_checks_on_a_dummy_backend_find_nothing_wrong(make_site: Callable[..., Site]) -> None:
    site = make_site(USING_DUMMY_DATA_BACKEND="true")
    report = _run(site, _check_task("dbstatus", database_name="default"))
    assert report["results"] == {"results": {"status": ""}, "error": None}
    assert (report["stage"], report["complete"]) == ("", True)
    report = _run(site, _check_task("dbdatacheck", hes_expected_activity_month="202304"))
    assert report["results"]["results"] == {"status": "OK"}


def test_a_database_check_that_cannot_be_made_says_no_more_than_that(site: Site) -> None:
    report = _run(site, _check_task("dbstatus", database_name="default"))
    assert report["results"]["results"] is None
    assert report["results"]["error"]["type"] == "database_unavailable"
    reference = report["results"]["error"]["message"].removeprefix("The check could not be made. Reference ")
    assert f"reference {reference}" in site.log()
    assert not list((site.high / "volumes").glob(".check-*"))


@pytest.mark.parametrize("name", MISTAKES)
def test_an_ordinary_mistake_is_no_fault_of_the_backend(site: Site, tmp_path: Path, name: str) -> None:
    """One attempt, with an exit code: not lost, not an error that the controller would try again."""
    mistake = MISTAKES[name]
    site.repo = tmp_path / "mistaken"
    mistake.write(site.repo)
    kept = {mistake.file: mistake.text} if mistake.file else {}
    site.commit = make_repo(site.repo, {"project.yaml": "version: 5\n", **kept})
    report = _run(site, site.task(args=shlex.split(mistake.run)))
    assert (report["stage"], report["results"]["error"]) == ("finalized", False)
    assert report["results"]["exit_code"] == str(mistake.exit_code)
    assert mistake.message in (report["results"]["status_message"] or "")
    log = (site.medium / "workspaces/wspace/metadata/make.log").read_text()
    assert mistake.log in log
    assert mistake.message in log


def test_a_command_that_no_machine_takes_is_the_users_error(site: Site) -> None:
    report = _run(site, site.task(args=["echo", "x" * 140_000]))
    assert report["results"]["error"]["type"] == "user_error"
    log = (site.high / "workspaces/wspace/metadata/make.log").read_text()
    assert "argument 1 of the command has 140000 bytes, and Linux takes 131071 at most" in log


def test_what_leaves_of_a_script_that_cannot_start_is_no_text_of_a_file(site: Site) -> None:
    """A job may write what it likes into the file that is its program; the words for the controller are fixed."""
    code = "printf '#!/secret 1001,34,M\\n' > make; chmod +x make; ./make; exit 127"
    report = _run(site, site.task(args=["sh", "-c", code]))
    assert "secret" not in json.dumps(report)

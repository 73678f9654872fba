"""`carrel run` for real: a subprocess, bubblewrap, small studies. Texts: local-run.md section 4."""

import json
import os
import signal
import subprocess
from textwrap import dedent

import pytest
from tests.support.local import Study, processes_with
from tests.support.mistakes import MISTAKES

pytestmark = pytest.mark.bubblewrap


def test_the_whole_text_of_a_successful_run(study: Study):
    study.writes("a", level="moderately_sensitive")
    folder = study.folder
    assert study.ok("run", "a").splitlines() == [
        "Running actions: a",
        "a: Preparing your code and workspace files",
        f"a: Copying in code from {folder}",
        "a: Prepared and ready to run",
        "a: Executing job on the backend",
        "a: Job has finished executing and is waiting to be finalized",
        "a: Recording job results",
        "a: Extracting output file: output/a.csv",
        f"a: Logs written to: {folder}/metadata/a.log",
        "a: Finished recording results",
        "a: Completed successfully",
        "a: Cleaning up container and volume",
        "",
        "=> a",
        "   Completed successfully",
        "",
        "   log file: metadata/a.log",
        "   outputs:",
        "     output/a.csv  - moderately_sensitive",
    ]
    assert study.read("output/a.csv") == "n\n1\n"
    assert study.leftovers() == []


def test_a_dependency_runs_first_and_its_output_is_given(study: Study):
    study.writes("a")
    code = "import shutil; shutil.copy('output/a.csv', 'output/b.csv')"
    study.action("b", code, "moderately_sensitive: {b: output/b.csv}", needs="a")
    out = study.ok("run", "b")
    assert "b: Copying input file: output/a.csv" in out
    assert study.read("output/b.csv") == "n\n1\n"


def test_what_has_succeeded_is_reused_and_what_is_named_runs_again(study: Study):
    study.writes("a").writes("b", needs="a")
    study.ok("run", "b")
    assert "Running actions: b\n" in study.ok("run", "b")
    assert study.ok("run", "run_all") == (
        "\n=> All actions already completed successfully\n   Use -f option to force everything to re-run\n"
    )
    assert "Running actions: a, b\n" in study.ok("run", "b", "-f")


def test_a_deleted_output_makes_its_action_run_again(study: Study):
    study.writes("a").writes("b", needs="a")
    study.ok("run", "run_all")
    (study.folder / "output/a.csv").unlink()
    assert "an output of its last run is missing" in study.ok("run", "run_all", "--dry-run")
    study.ok("run", "run_all")
    assert study.read("output/a.csv") == "n\n1\n"


def test_an_unknown_action_names_those_there_are(study: Study):
    study.writes("extract")
    done = study.carrel("run", "extrct")
    assert done.returncode == 1
    assert done.stderr.startswith("=> UnknownActionError\n   Action 'extrct' not found in project.yaml")
    assert "     run_all (runs all actions in project)\n     extract\n" in done.stderr
    assert "Did you mean `extract`?" in done.stderr


def test_no_action_is_refused(study: Study):
    done = study.writes("a").carrel("run")
    assert done.returncode == 1
    assert done.stderr.startswith("At least one action must be supplied\n")
    assert "  run_all (runs all actions in project)\n  a\n" in done.stderr


def test_an_invalid_project_is_explained(study: Study):
    study.project("a:\n  run: python:v2\n  outputs: {secret: {a: output/a.csv}}")
    done = study.carrel("run", "a")
    assert done.returncode == 1
    assert done.stderr.startswith("=> ProjectValidationError\n   Errors in project file - project.yaml:")


def test_a_folder_that_is_no_study(study: Study):
    done = study.carrel("run", "a")
    assert done.returncode == 1
    assert "No project.yaml in" in done.stderr
    assert not (study.folder / "metadata").exists()


def test_a_failing_command_shows_the_end_of_its_log(study: Study):
    code = "import sys\nfor n in range(40): print('line', n)\nsys.exit(3)"
    study.action("a", code, "highly_sensitive: {a: output/a.csv}")
    done = study.carrel("run", "a")
    assert done.returncode == 1
    block = done.stdout[done.stdout.index("=> a") :].splitlines()
    assert block[:6] == [
        "=> a",
        "   Job exited with an error",
        "",
        "   log file: metadata/a.log",
        "   outputs:",
        "     (no outputs)",
    ]
    assert block[-33:] == ["     (truncated)"] + [f"     line {n}" for n in range(8, 40)]
    assert study.record("a")["exit_code"] == 3


def test_an_unmatched_pattern_names_what_was_made_instead(study: Study):
    code = "from pathlib import Path; Path('output').mkdir(); Path('output/b.csv').write_text('n\\n')"
    study.action("a", code, "highly_sensitive: {a: output/a.csv}")
    done = study.carrel("run", "a")
    assert done.returncode == 1
    assert "   No outputs found matching patterns:\n" in done.stdout.replace("     No", "   No")
    assert "Did you mean to match one of these files instead?" in done.stdout
    assert "- output/b.csv" in done.stdout
    assert not (study.folder / "output/b.csv").exists()
    assert study.record("a")["status_code"] == "unmatched_patterns"


def test_what_matched_is_kept_though_something_else_did_not(study: Study):
    code = "from pathlib import Path; Path('output').mkdir(); Path('output/a.csv').write_text('n\\n1\\n')"
    study.action("a", code, "highly_sensitive: {a: output/a.csv, b: output/b.csv}")
    assert study.carrel("run", "a").returncode == 1
    assert study.read("output/a.csv") == "n\n1\n"


def test_an_output_not_fit_for_level_4_is_kept_and_named(study: Study):
    study.writes("a", level="moderately_sensitive", text="patient_id\\n1\\n")
    out = study.ok("run", "a")
    assert "Completed successfully, but 1 file(s) marked as moderately_sensitive were excluded." in out
    assert "   invalid moderately_sensitive outputs:\n     output/a.csv  - File has patient_id column" in out
    assert study.read("output/a.csv") == "patient_id\n1\n"
    log = study.read("metadata/a.log")
    assert "\nInvalid moderately_sensitive outputs:\n  output/a.csv  - File has patient_id column" in log
    entry = json.loads(study.read("metadata/manifest.json"))["outputs"]["output/a.csv"]
    assert (entry["excluded"], entry["row_count"], entry["col_count"]) == (True, 1, 1)


def test_the_log_has_the_lines_with_their_time_and_the_summary(study: Study):
    code = "print('hello')\nfrom pathlib import Path; Path('o').mkdir(); Path('o/a.csv').write_text('n\\n')"
    study.action("a", code, "highly_sensitive: {a: o/a.csv}")
    study.ok("run", "a")
    log = study.read("metadata/a.log")
    assert log.splitlines()[0].partition(" ")[2] == "hello"
    assert log.splitlines()[0][:2] == "20"
    record = study.record("a")
    for line in (f"job_definition_id: {record['id']}", f"request_id: {record['request_id']}", "exit_code: 0"):
        assert f"\n{line}\n" in log
    assert "\noutputs:\n  o/a.csv  - highly_sensitive\n\nNotes:\n  Limits: memory " in log
    assert study.ok("logs", "a") == log
    assert study.ok("logs", "a", "--no-timestamps") == "hello\n"


def test_an_action_sees_code_and_declared_inputs_and_nothing_else(study: Study):
    study.writes("a").writes("b", needs="")
    code = """
        import os, json
        from pathlib import Path
        found = sorted(str(p) for p in Path('.').rglob('*') if p.is_file())
        Path('output/c.json').write_text(json.dumps({'files': found, 'env': dict(os.environ)}))
    """
    study.action("c", code, "moderately_sensitive: {c: output/c.json}", needs="a")
    (study.folder / "data").mkdir()
    (study.folder / "data/notes.txt").write_text("mine")
    (study.folder / ".git").mkdir()
    (study.folder / ".git/secret").write_text("s")
    study.ok("run", "a", "b")
    study.ok("run", "c", MY_SECRET="hunter2")
    seen = json.loads(study.read("output/c.json"))
    assert seen["files"] == ["a.py", "b.py", "c.py", "data/notes.txt", "output/a.csv", "project.yaml"]
    assert seen["env"]["OPENSAFELY_BACKEND"] == "expectations"
    assert seen["env"]["HOME"] == "/tmp"
    assert not {"MY_SECRET", "DATABASE_URL", "EXECUTOR", "TOOLCHAINS_DIR"} & seen["env"].keys()


def test_an_action_cannot_change_the_study_nor_its_input(study: Study):
    study.writes("a")
    code = """
        from pathlib import Path
        Path('output/a.csv').write_text('spoilt')
        Path('project.yaml').write_text('spoilt')
        Path('output/b.csv').write_text('n\\n')
    """
    study.action("b", code, "highly_sensitive: {b: output/b.csv}", needs="a")
    before = study.read("project.yaml")
    study.ok("run", "b")
    assert study.read("output/a.csv") == "n\n1\n"
    assert study.read("project.yaml") == before


def test_a_failure_stops_the_others_and_cleans_up(study: Study):
    study.action("bad", "import sys; sys.exit(1)", "highly_sensitive: {a: output/bad.csv}")
    study.action("slow", "import time; time.sleep(600)", "highly_sensitive: {a: output/slow.csv}")
    study.writes("after", needs="slow")
    done = study.carrel("run", "bad", "slow", "after")
    assert done.returncode == 1
    report = done.stdout[done.stdout.index("\n\n=> ") :]
    assert "=> bad" in report
    assert "=> slow" not in report
    assert "=> after" not in report
    assert "slow: Stopped, because bad failed" in done.stdout
    assert study.leftovers() == []
    assert processes_with(str(study.folder)) == []


def test_with_continue_on_error_only_dependants_are_left_out_and_failures_come_last(study: Study):
    study.action("bad", "import sys; sys.exit(1)", "highly_sensitive: {a: output/bad.csv}")
    study.writes("after", needs="bad").writes("later", needs="after").writes("good")
    done = study.carrel("run", "run_all", "--continue-on-error")
    assert done.returncode == 1
    heads = [line for line in done.stdout.splitlines() if line.startswith("=> ")]
    assert heads == ["=> good", "=> bad"]
    assert "later: Not starting, because bad failed" in done.stdout
    assert study.read("output/good.csv") == "n\n1\n"


def test_actions_run_at_the_same_time_up_to_the_limit(study: Study):
    code = """
        import sys, time
        from pathlib import Path
        start = time.time()
        time.sleep({seconds})
        Path('output').mkdir(exist_ok=True)
        Path('output/{name}.txt').write_text(f'{{start}} {{time.time()}}')
    """

    def most_at_once(limit: int, seconds: float):
        """How many of three actions ran beside each other; each takes at least so many seconds."""
        for name in ("a", "b", "c"):
            (study.folder / f"{name}.py").write_text(dedent(code.format(name=name, seconds=seconds)))
        study.ok("run", "a", "b", "c", "-c", str(limit))
        spans = [tuple(map(float, study.read(f"output/{name}.txt").split())) for name in "abc"]
        return max(sum(s <= start < e for s, e in spans) for start, _ in spans)

    for name in ("a", "b", "c"):
        study.action(name, "", f"highly_sensitive: {{o: output/{name}.txt}}")
    assert most_at_once(3, 4) == 3  # on a busy machine the last may start seconds after the first
    assert most_at_once(1, 0.1) == 1


def test_too_much_memory_is_named(study: Study):
    code = "x = bytearray(400 * 1024 * 1024)\nprint(len(x))"
    study.action("a", code, "highly_sensitive: {a: output/a.csv}")
    done = study.carrel("run", "a", "-m", "100M")
    assert done.returncode == 1
    # Held by a cgroup the kernel kills it; held by rlimits Python is refused the memory.
    assert "Job ran out of memory (limit was 0.10GB)" in done.stdout or "MemoryError" in done.stdout


def test_a_time_limit_ends_an_action(study: Study):
    study.action(
        "a", "import time; time.sleep(600)", "highly_sensitive: {a: output/a.csv}", extra="resources: {timeout: 1s}"
    )
    done = study.carrel("run", "a")
    assert done.returncode == 1
    assert "ran longer than its time limit of 1 seconds" in done.stdout
    assert study.record("a")["status_code"] == "timed_out"


def test_a_missing_toolchain_is_no_fault_of_the_study(study: Study):
    study.project("a:\n  run: r:v2 Rscript a.R\n  outputs: {highly_sensitive: {a: output/a.csv}}")
    done = study.carrel("run", "a")
    assert done.returncode == 1
    assert "There is no toolchain r:v2" in done.stdout
    assert not (study.folder / "metadata/jobs/a.json").exists()
    assert study.leftovers() == []


def test_an_output_where_a_folder_stands_fails_the_action_alone(study: Study):
    study.writes("a")
    (study.folder / "output/a.csv").mkdir(parents=True)
    done = study.carrel("run", "a")
    assert done.returncode == 1
    assert "The outputs cannot be written" in done.stdout
    assert (study.folder / "output/a.csv").is_dir()
    assert study.leftovers() == []


def test_json_lines(study: Study):
    study.writes("a")
    events = [json.loads(line) for line in study.ok("run", "a", "--json").splitlines()]
    assert [event["type"] for event in events] == ["run", *["change"] * 7, "result", "end"]
    assert events[-2]["outputs"] == {"output/a.csv": "highly_sensitive"}
    assert events[-1]["exit_code"] == 0
    nothing = json.loads(study.ok("run", "run_all", "--json"))
    assert nothing["nothing_to_do"] == "All actions have already completed successfully"
    failed = study.carrel("run", "zzz", "--json")
    assert (failed.returncode, json.loads(failed.stdout)["kind"]) == (1, "UnknownActionError")


def test_timestamps_and_github_blocks(study: Study):
    study.writes("a")
    out = study.ok("run", "a", "--timestamps", "--format-output-for-github")
    assert out.splitlines()[0][:2] == "20"
    assert "::group:: a succeeded\n=> a\n" in out
    assert "=============JOB SUMMARY=============" in out
    assert out.rstrip().endswith("::endgroup::")


def test_debug_keeps_the_working_folder_and_says_so(study: Study):
    study.writes("a")
    done = study.carrel("run", "a", "--debug")
    assert done.returncode == 0
    assert "carrel clean" in done.stdout
    assert study.leftovers() == [str(study.folder / "metadata" / ".run")]
    study.ok("run", "a")
    assert study.leftovers() == []


def test_an_action_that_forgets_to_make_its_folder_fails_here_too(study: Study):
    study.action("a", "open('output/a.csv', 'w')", "highly_sensitive: {a: output/a.csv}")
    (study.folder / "output").mkdir()
    (study.folder / "output/a.csv").touch()
    assert study.carrel("run", "a").returncode == 1


def test_another_folder_by_option(study: Study, tmp_path):
    study.writes("a")
    elsewhere = Study(tmp_path, study.env)
    assert "=> a" in elsewhere.ok("run", "--project-dir", study.folder, "a")


# --- backends ----------------------------------------------------------------------------------------------------

TWO_BACKENDS = """
    version: '5'
    run_on: [north, south]
    actions:
      a:
        run:
          north: python:v2 python a.py n
          south: python:v2 python a.py s
        outputs: {highly_sensitive: {a: output/a.txt}}
"""
SAY_WHERE = """
import os, sys
from pathlib import Path
Path('output').mkdir(exist_ok=True)
Path('output/a.txt').write_text(sys.argv[1] + os.environ['OPENSAFELY_BACKEND'])
"""


@pytest.fixture
def two(study: Study):
    import textwrap

    (study.folder / "project.yaml").write_text(textwrap.dedent(TWO_BACKENDS))
    (study.folder / "a.py").write_text(SAY_WHERE)
    return study


def test_a_study_that_differs_by_backend_asks_which(two: Study):
    done = two.carrel("run", "a")
    assert done.returncode == 1
    assert "--backend with one of north, south" in done.stderr


def test_the_study_runs_as_the_backend_asked_for(two: Study):
    two.ok("run", "run_all", "--backend", "north")
    assert two.read("output/a.txt") == "nnorth"
    assert "has not run here before" in two.ok("run", "run_all", "--backend", "south", "--dry-run")
    two.ok("run", "run_all", "--backend", "south")
    assert two.read("output/a.txt") == "ssouth"


# --- one at a time, interrupts, kills ----------------------------------------------------------------------------

WAITS = "from pathlib import Path\nimport time\nprint('up', flush=True)\ntime.sleep(600)"


@pytest.fixture
def slow(study: Study):
    return study.action("slow", WAITS, "highly_sensitive: {a: output/slow.csv}").writes("quick")


def start(study: Study, **env: str) -> "subprocess.Popen[str]":
    """Start a run of `slow` and wait until its process is there."""
    run = study.start("run", "slow", **env)
    assert any("Executing job" in line for line in run.stdout)
    assert jobs_of(study)
    return run


def jobs_of(study: Study) -> list[int]:
    """Processes of the study's actions."""
    return processes_with(f"{study.folder}/metadata/.run")


def end(run: "subprocess.Popen[str]", number: int) -> tuple[int, str, str]:
    run.send_signal(number)
    out, err = run.communicate(timeout=60)
    return run.returncode, out, err


def test_a_second_run_is_refused_while_one_runs(slow: Study):
    run = start(slow)
    refused = slow.carrel("run", "quick")
    assert refused.returncode == 1
    assert f"Another run is going on in {slow.folder} (process {run.pid})" in refused.stderr
    assert "slow    running" in slow.ok("status")
    end(run, signal.SIGINT)
    assert "=> quick" in slow.ok("run", "quick")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_stops_and_removes_everything(slow: Study, number: int):
    code, _, err = end(start(slow), number)
    assert code == 130
    assert "Interrupted" in err
    assert slow.leftovers() == []
    assert processes_with(str(slow.folder)) == []
    assert not (slow.folder / "metadata/jobs/slow.json").exists()


def test_the_next_run_clears_what_a_kill_left(slow: Study):
    end(start(slow), signal.SIGKILL)
    assert jobs_of(slow)
    assert slow.leftovers()
    slow.ok("run", "quick")
    assert slow.leftovers() == []
    assert jobs_of(slow) == []


POINTS = [
    "local.prepared",
    "local.started",
    "publish.staged",
    "publish.committed",
    "publish.moved:1",
    "publish.moved:2",
]


@pytest.mark.parametrize("point", [*POINTS, "local.published", "publish.durable"])
def test_a_kill_at_any_point_leaves_the_old_outputs_or_all_of_the_new(study: Study, point: str):
    study.action(
        "a",
        "from pathlib import Path\nPath('o').mkdir()\nt = Path('t.txt').read_text()\n"
        "Path('o/1.csv').write_text(t)\nPath('o/2.csv').write_text(t)",
        "highly_sensitive: {a: o/*.csv}",
    )
    (study.folder / "t.txt").write_text("old")
    study.ok("run", "a")
    old = study.record("a")["id"]
    (study.folder / "t.txt").write_text("new")
    killed = study.carrel("run", "a", CARREL_FAULT=point)
    assert killed.returncode == -signal.SIGKILL
    study.writes("other")
    study.ok("run", "other")
    kept = study.record("a")["id"] == old
    assert {study.read("o/1.csv"), study.read("o/2.csv")} == {"old" if kept else "new"}
    entry = json.loads(study.read("metadata/manifest.json"))["outputs"]["o/1.csv"]
    assert (entry["job_id"] == old) == kept
    assert (f"job_definition_id: {old}" in study.read("metadata/a.log")) == kept
    assert study.leftovers() == []
    assert processes_with(str(study.folder)) == []
    assert "Running actions: a\n" in study.ok("run", "a")


def test_the_reader_of_the_output_may_leave(slow: Study):
    run = slow.start("run", "quick")
    run.stdout.close()
    run.wait(timeout=60)
    run.stderr.close()
    assert slow.record("quick")["state"] == "succeeded"
    assert slow.leftovers() == []


def test_nothing_of_ours_is_left_in_the_environment():
    assert "CARREL_FAULT" not in os.environ


@pytest.mark.parametrize("name", MISTAKES)
def test_an_ordinary_mistake_is_told_once_and_in_words(study: Study, name: str):
    study.mistake(MISTAKES[name]).failed(MISTAKES[name])


def test_a_command_longer_than_linux_takes_is_refused_before_anything_runs(study: Study):
    study.project(f"a:\n  run: python:v2 python {'x' * 140_000}\n  outputs: {{highly_sensitive: {{a: a.csv}}}}\n")
    for command in (("check",), ("run", "a")):
        done = study.carrel(*command)
        assert done.returncode == 1
        assert "argument 1 of the command has 140000 bytes, and Linux takes 131071 at most" in done.stdout + done.stderr


def test_forty_thousand_arguments_run(study: Study):
    study.action("a", "import sys; open('a.csv', 'w').write(f'n\\n{len(sys.argv)}\\n')", "highly_sensitive: {a: a.csv}")
    project = study.folder / "project.yaml"
    project.write_text(project.read_text().replace("python a.py", "python a.py" + " y" * 40_000))
    study.ok("run", "a")
    assert study.read("a.csv") == "n\n40001\n"


def test_the_log_is_kept_when_time_is_over(study: Study):
    code = "import time; print('step 1 done'); open('output.txt', 'w'); time.sleep(1000)"
    study.action("a", code, "highly_sensitive: {a: output/a.csv}", extra="resources: {timeout: 3s}")
    done = study.carrel("run", "a")
    assert done.returncode == 1
    assert "step 1 done" in study.read("metadata/a.log")
    assert study.record("a")["status_code"] == "timed_out"


def test_so_little_memory_that_nothing_starts_is_refused_in_words(study: Study):
    study.writes("a")
    done = study.carrel("run", "a", "-m", "1k")
    assert done.returncode == 1
    assert "cannot be started with 1024 bytes of memory: ask for 6M or more" in done.stdout
    assert done.stderr == ""


WORKER = """
import os, sys
print("worker starts")
if os.fork() == 0:
    x = bytearray(2 << 30)
sys.exit(1 if os.wait()[1] else 0)
"""


def test_a_worker_killed_for_memory_is_the_cause(study: Study):
    if "memory cgroup" not in study.ok("info"):
        pytest.skip("no cgroup holds memory here")
    study.action("a", WORKER, "highly_sensitive: {a: output/a.csv}")
    done = study.carrel("run", "a", "-m", "100M")
    assert done.returncode == 1
    words = "Job ran out of memory (limit was 0.10GB): one of its processes was killed, and the job then failed"
    assert words in done.stdout
    assert words in study.read("metadata/a.log")
    assert "worker starts" in study.read("metadata/a.log")

"""`carrel exec`, `info`, `clean`, `check-outputs` under real bubblewrap."""

import signal
import tempfile
from pathlib import Path

import pytest
from tests.support.local import Study, processes_with
from tests.support.waiting import until

pytestmark = pytest.mark.bubblewrap


def test_exec_runs_on_this_folder_with_the_program_s_exit_code(study: Study):
    code = "import os; e = os.environ; print(os.getcwd(), e['OPENSAFELY_BACKEND'], e['A']); open('x', 'w'); exit(7)"
    done = study.carrel("exec", "-e", "A=b", "python:v2", "python", "-c", code)
    assert (done.returncode, done.stdout) == (7, "/workspace expectations b\n")
    assert (study.folder / "x").exists()


def test_exec_with_an_entrypoint_and_options_of_the_program(study: Study):
    assert study.ok("exec", "--entrypoint", "python", "python", "--", "--version").startswith("Python 3")


def test_exec_of_an_image_that_is_not_here(study: Study):
    done = study.carrel("exec", "r", "Rscript")
    assert done.returncode == 1
    assert "There is no toolchain r:v2" in done.stderr


def test_a_user_cannot_be_chosen_under_bubblewrap(study: Study):
    assert "--user needs a container engine" in study.carrel("exec", "-u", "0", "python", "python").stderr


def test_clean_removes_what_a_killed_exec_left(study: Study):
    run = study.start("exec", "python:v2", "python", "-uc", "import time; print('up'); time.sleep(600)")
    assert run.stdout.readline() == "up\n"
    place = str(Path(tempfile.gettempdir()) / f"carrel-exec-{run.pid}-")
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert processes_with(place)
    out = study.ok("clean")
    assert f"Removed carrel-exec-{run.pid}-" in out
    until(lambda: not processes_with(place), "the program's end")
    assert "This folder is no study" in out


def test_clean_of_a_study_removes_what_debug_kept(study: Study):
    study.writes("a")
    study.ok("run", "a", "--debug")
    assert "Nothing is left of interrupted runs" in study.ok("clean")
    assert study.leftovers() == []
    assert study.read("output/a.csv") == "n\n1\n"


def test_info_names_the_runtime_and_the_toolchains(study: Study):
    out = study.ok("info")
    assert "runtime: bubblewrap\n" in out
    assert "  python:v2  sha256:" in out
    nowhere = str(study.folder / "missing")
    broken = study.carrel("info", EXECUTOR="podman", PATH=nowhere, XDG_RUNTIME_DIR=nowhere)
    assert broken.returncode == 1


def test_toolchains_are_listed(study: Study):
    assert "python:v2  sha256:" in study.ok("toolchain", "list")


def test_check_outputs_finds_what_a_checker_would(study: Study):
    study.writes("table", level="moderately_sensitive", text="sex,n\\nF,3\\nM,12\\n")
    study.writes("people", level="moderately_sensitive", text="patient_id\\n1\\n")
    study.writes("secret", text="n\\n1\\n")
    study.ok("run", "run_all")
    done = study.carrel("check-outputs", "--html", "report.html")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "output/people.csv: would not reach level 4: File has patient_id column",
        "output/table.csv:2: n: 3: a count of 7 or fewer must be redacted [small-count]",
        "output/table.csv:3: n: 12: not rounded to the nearest 5 [not-rounded]",
    ]
    page = study.read("report.html")
    assert "a count of 7 or fewer must be redacted" in page
    assert "<script" not in page


def test_check_outputs_of_a_clean_study(study: Study):
    study.writes("table", level="moderately_sensitive", text="sex,n\\nF,10\\nM,[REDACTED]\\n")
    assert study.ok("check-outputs") == "No moderately sensitive outputs here.\n"
    study.ok("run", "run_all")
    assert study.ok("check-outputs") == "output/table.csv: nothing found\n"

"""`carrel run`, `exec` and `info` with a real Docker engine. The study and what is asked are as under bubblewrap."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests.support.local import Study, make_toolchain
from tests.support.mistakes import MISTAKES

pytestmark = pytest.mark.docker


def docker(*args: str) -> str:
    done = subprocess.run(["docker", *args], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


@pytest.fixture
def boxed(tmp_path, docker_image):
    """A study whose `python:v2` is the test image."""
    folder = tmp_path / "my study"
    folder.mkdir()
    keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    found = Study(folder, {**keep, "EXECUTOR": "docker", "DOCKER_REGISTRY": docker_image.rpartition("/")[0]})
    yield found
    found.close()


def containers(study: Study) -> str:
    return docker("ps", "-aq", "--filter", f"label=carrel.owner={study.folder}")


def test_a_run_leaves_outputs_log_and_nothing_else(boxed: Study, docker_image: str):
    boxed.writes("a").action(
        "b",
        "import shutil; shutil.copy('output/a.csv', 'output/b.csv')",
        "moderately_sensitive: {b: output/b.csv}",
        "a",
    )
    out = boxed.ok("run", "b")
    assert "=> b\n   Completed successfully\n" in out
    assert boxed.read("output/b.csv") == "n\n1\n"
    assert boxed.record("b")["image"] == docker_image
    assert boxed.record("b")["image_id"].startswith("sha256:")
    assert "exit_code: 0" in boxed.read("metadata/b.log")
    assert {each["action"]: each["stale"] for each in json.loads(boxed.ok("status", "--json"))} == {"a": [], "b": []}
    assert containers(boxed) == ""
    assert boxed.leftovers() == []


def test_memory_and_exit_code(boxed: Study):
    boxed.action("a", "x = bytearray(400 * 1024 * 1024); print(len(x))", "highly_sensitive: {a: output/a.csv}")
    done = boxed.carrel("run", "a", "-m", "100M")
    assert done.returncode == 1
    assert "Job ran out of memory (limit was 0.10GB)" in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_container_outlives_an_interrupt_or_the_run_after_a_kill(boxed: Study, number: int):
    boxed.action("slow", "import time; time.sleep(600)", "highly_sensitive: {a: output/slow.csv}").writes("quick")
    run = boxed.start("run", "slow")
    assert any("Executing job" in line for line in run.stdout)
    assert containers(boxed)
    run.send_signal(number)
    run.communicate(timeout=60)
    if number == signal.SIGKILL:
        assert containers(boxed)
        boxed.ok("run", "quick")
    assert containers(boxed) == ""
    assert boxed.leftovers() == []


def test_an_image_that_cannot_be_had_is_no_fault_of_the_study(boxed: Study):
    done = boxed.writes("a").carrel("run", "a", DOCKER_REGISTRY="localhost:1/nowhere")
    assert done.returncode == 1
    assert "This action could not be run" in done.stdout
    assert not (boxed.folder / "metadata/jobs").exists()


def test_exec_and_info(boxed: Study, docker_image: str):
    code = "import os; print(os.getcwd(), os.environ['OPENSAFELY_BACKEND'], os.getuid()); exit(5)"
    done = boxed.carrel("exec", "python:v2", "python3", "-c", code)
    assert (done.returncode, done.stdout) == (5, f"/workspace expectations {os.getuid()}\n")
    out = boxed.ok("info")
    assert "runtime: docker\n" in out
    assert f"  {docker_image}  sha256:" in out


def test_images_are_fetched_and_said_to_be_the_latest(boxed: Study, local_registry):
    boxed.env["DOCKER_REGISTRY"] = local_registry.image.rpartition("/")[0]
    try:
        assert boxed.ok("pull", "python:v2") == "No such images here. Use --force to fetch them all the same.\n"
        assert boxed.ok("pull", "--force", "python") == f"{local_registry.image}: updated\n"
        assert boxed.ok("pull") == f"{local_registry.image}: up to date\n"
        assert "(latest version)" in boxed.ok("info")
        boxed.writes("a").ok("run", "a")
        assert boxed.ok("pull", "--project", "project.yaml") == f"{local_registry.image}: up to date\n"
        gone = boxed.carrel("pull", "--force", "nothing:v1")
        assert gone.returncode == 1
        assert "nothing:v1" in gone.stderr
    finally:
        docker("rmi", local_registry.image)


@pytest.mark.parametrize("name", MISTAKES)
def test_an_ordinary_mistake_is_told_once_and_in_words(boxed: Study, name: str):
    boxed.mistake(MISTAKES[name]).failed(MISTAKES[name])
    assert containers(boxed) == ""


def test_a_toolchain_that_is_there_is_taken_before_an_image_that_is_not(boxed: Study, tmp_path: Path):
    boxed.env |= {"DOCKER_REGISTRY": "127.0.0.1:1/x", "TOOLCHAINS_DIR": str(make_toolchain(tmp_path / "toolchains"))}
    boxed.env["EXECUTOR"] = "auto"
    boxed.writes("a").ok("run", "a")
    assert boxed.record("a")["executor"] == "bubblewrap"
    assert boxed.ok("exec", "python:v2", "python", "-c", "print(1)") == "1\n"
    for command in (("run", "a"), ("exec", "python:v2", "python", "-c", "print(1)")):
        done = boxed.carrel(command[0], "--executor", "docker", *command[1:])
        assert done.returncode == 1
        assert "There is a toolchain python:v2 on this machine: use it with `--executor bubblewrap`" in (
            done.stdout + done.stderr
        )


def test_the_option_is_stronger_than_the_setting(boxed: Study, tmp_path: Path):
    boxed.env["TOOLCHAINS_DIR"] = str(make_toolchain(tmp_path / "toolchains"))
    boxed.writes("a").ok("run", "a", "--executor", "bubblewrap")
    assert boxed.record("a")["executor"] == "bubblewrap"
    boxed.ok("run", "a")
    assert boxed.record("a")["executor"] == "docker"
    where = "import os; print(os.path.exists('/.dockerenv'))"
    assert boxed.ok("exec", "--executor", "bubblewrap", "python:v2", "python", "-c", where) == "False\n"
    assert boxed.ok("exec", "python:v2", "python", "-c", where) == "True\n"
    wrong = boxed.carrel("run", "a", "--executor", "dcoker")
    assert wrong.returncode == 2

"""The parts' commands reach the parts; the hook and the GitHub Action name things that are there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CARREL = Path(sys.executable).parent / "carrel"


def program(*args, **env):
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run([CARREL, *args], capture_output=True, text=True, env={**keep, **env}, timeout=60, check=False)


def test_the_agent_says_what_it_needs():
    done = program("agent")
    assert done.returncode == 1
    assert "The agent cannot start. BACKEND must be set" in done.stderr


def test_management_commands_are_passed_on_with_their_options(tmp_path):
    done = program("manage", "prepare_for_reboot", "--help", WORKDIR=str(tmp_path))
    assert done.returncode == 0
    assert "prepare_for_reboot" in done.stdout


@pytest.mark.parametrize("part", ["controller", "web"])
def test_controller_and_web_refuse_without_a_database_in_a_sentence(part, tmp_path):
    done = program(part, WORKDIR=str(tmp_path / "nothing"))
    assert done.returncode == 1
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


def test_the_pre_commit_hook(tmp_path):
    hook = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())[0]
    assert hook["entry"] == "carrel check"
    (tmp_path / "project.yaml").write_text("version: '5'\n")
    done = program(*hook["entry"].split()[1:], str(tmp_path / "project.yaml"))
    assert done.returncode == 1
    assert f"{tmp_path}/project.yaml:" in done.stdout


def test_the_github_action_runs_a_command_that_is_there():
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    command = action["runs"]["steps"][-1]["run"].replace('"$PROJECT_FILE"', "nothing.yaml").split()
    assert command[0] == "carrel"
    done = program(*command[1:])
    assert (done.returncode, done.stderr) == (1, "nothing.yaml cannot be read: No such file or directory\n")

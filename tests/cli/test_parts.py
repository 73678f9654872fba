"""The parts' commands reach the parts; the hook and the GitHub Action name things that are there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from carrel.site.layout import Site, SiteBackend

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


def test_a_command_of_another_app_says_whose_it_is(tmp_path):
    done = program("manage", "usage", WORKDIR=str(tmp_path))
    assert done.returncode == 1
    assert "usage is a command of the job server, and CARREL_APPS says controller." in done.stderr
    done = program("manage", "pause", "on", "north", WORKDIR=str(tmp_path), CARREL_APPS="jobserver")
    assert "pause is a command of the controller, and CARREL_APPS says jobserver." in done.stderr


def test_commands_run_on_a_site_of_carrel_up(tmp_path):
    site = Site(tmp_path / "site", (SiteBackend("north"),), jobserver_port=1)
    site.make_folders()
    site.describe()
    # No database was made yet: each command says so of its own app's, in its own folder.
    assert program("manage", "--site", str(site.root), "migrate", "--verbosity", "0").returncode == 0
    assert (site.root / "controller" / "db.sqlite").exists()
    done = program("manage", "--site", str(site.root), "pause", "on", "south")
    assert (done.returncode, "not one of the backends: north" in done.stderr) == (2, True)
    assert program("manage", "--site", str(site.root), "pause", "on", "north").returncode == 0
    assert "usage" in program("manage", "--site", str(site.root), "usage", "--help").stdout


def test_a_site_that_is_not_there_is_a_sentence(tmp_path):
    done = program("manage", "--site", str(tmp_path), "pause", "on", "north")
    assert (done.returncode, done.stderr[:17]) == (1, "Error: no site in")
    assert "--site needs a command" in program("manage", "--site", str(tmp_path)).stderr


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

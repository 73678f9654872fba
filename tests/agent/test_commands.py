"""The commands for repairs by hand, on a real store and real processes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.support.agents import Site

from carrel.agent.commands import main


@pytest.fixture
def run(site: Site, monkeypatch: pytest.MonkeyPatch):
    for key, value in site.environment().items():
        monkeypatch.setenv(key, value)

    def invoke(*words: str, keys: str = "") -> Result:
        return CliRunner().invoke(main, words, input=keys)

    return invoke


def test_killing_a_task(site: Site, run) -> None:
    site.start()
    site.server.add(site.script("sleep 1000"))
    site.server.wait_for(lambda: "executing" in site.server.stages("job1-001"))
    assert "No running tasks found matching 'zzz'" in run("kill_task", "zzz").output
    assert "killed" not in run("kill_task", "job1", keys="n\n").output
    assert "Task for job job1-001 killed." in run("kill_task", "job1", keys="y\n").output
    report = site.server.final("job1-001")
    assert report["results"]["exit_code"] == "137"
    assert report["results"]["status_message"] == "Job killed by OpenSAFELY admin or memory limits"


def _manifest_path(site: Site) -> Path:
    return site.medium / "workspaces/wspace/metadata/manifest.json"


def test_manifest_commands(site: Site, run) -> None:
    site.start()
    site.server.add(site.task())
    site.server.final("job1-001")
    assert run("update_manifest_for_old_job", "wspace", "job1", "main").exit_code == 1, "the agent owns the store"
    site.stop()
    before = json.loads(_manifest_path(site).read_text())
    _manifest_path(site).write_text('{"workspace": "wspace"}')
    done = run("update_manifest_for_old_job", "wspace", "jo", "main")
    assert "1 outputs of job job1 (main) added" in done.output
    after = json.loads(_manifest_path(site).read_text())["outputs"]["output/x.csv"]
    assert {**after, "repo": ""} == {**before["outputs"]["output/x.csv"], "repo": ""}
    assert (_manifest_path(site).parent / "manifest.jsonjob1.bu").exists()
    done = run("update_manifest_out_of_date_actions", "wspace", str(site.repo), site.commit)
    assert "1 outputs looked at; 0 are of actions" in done.output
    assert json.loads(_manifest_path(site).read_text())["outputs"]["output/x.csv"]["out_of_date_action"] is False


def test_an_old_job_must_be_clear(site: Site, run) -> None:
    done = run("update_manifest_for_old_job", "wspace", "none", "main")
    assert "0 jobs of workspace wspace match 'none'" in done.output

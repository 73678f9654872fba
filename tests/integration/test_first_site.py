"""`carrel manage init` beside a controller and its agents: from nothing to a run that succeeded."""

import subprocess

import pytest
from tests.support.local import CARREL
from tests.support.site import LiveSite

ON_BUBBLEWRAP = pytest.param("bubblewrap", marks=pytest.mark.bubblewrap)


@pytest.mark.parametrize("site", [ON_BUBBLEWRAP], indirect=True)
def test_init_ends_with_a_green_run_once_its_backend_is_one_of_the_controller(site: LiveSite, tmp_path):
    own = {"WORKDIR": str(tmp_path / "job-server"), "JOBSERVER_URL": "http://127.0.0.1:8055"}

    def init(*words: str) -> "subprocess.CompletedProcess[str]":
        argv = [CARREL, "manage", "init", "--yes", *words]
        return subprocess.run(argv, env=site.site.jobserver_env(site.keys) | own, capture_output=True, text=True)

    refused = init("--backend", "west")
    assert refused.returncode == 1
    assert "No first run. The controller has no backend west for this site: it has north, south." in refused.stderr
    done = init()
    assert done.returncode == 0, done.stderr
    assert "backend    north" in done.stdout
    assert "carrel web --port 8055 --with-sweep" in done.stdout
    assert done.stdout.endswith("Succeeded\nThe first run succeeded: the site works.\n")
    assert site.level4("first-study", "north").joinpath("output/summary.txt").exists()

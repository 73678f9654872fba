"""Kill -9 whatever runs, again and again, while a DAG runs: the end is the same as if nothing had happened."""

import random

import pytest
from tests.support.site import free_port, live_site

from carrel.agent.toolchains import build
from carrel.site.layout import Backend, Site

WIDTH = 6
YAML = (
    "version: '5'\nactions:\n"
    "  first: {run: python:v2 python step.py first, outputs: {highly_sensitive: {a: output/first.csv}}}\n"
    + "".join(
        f"  middle{n}: {{run: python:v2 python step.py middle{n} first, needs: [first], "
        f"outputs: {{highly_sensitive: {{a: output/middle{n}.csv}}}}}}\n"
        for n in range(WIDTH)
    )
    + f"  last: {{run: python:v2 python step.py last {' '.join(f'middle{n}' for n in range(WIDTH))}, "
    f"needs: [{', '.join(f'middle{n}' for n in range(WIDTH))}], "
    "outputs: {moderately_sensitive: {a: output/last.csv}}}\n"
)
STEP = """
import sys, time
name, *needs = sys.argv[1:]
total = sum(int(open(f'output/{need}.csv').read().split()[1]) for need in needs) + 1
time.sleep(0.3)
open(f'output/{name}.csv', 'w').write(f'total\\n{total}\\n')
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    root = tmp_path_factory.mktemp("crash")
    (root / "nothing.txt").write_text("")
    build("python", "v2", root / "nothing.txt", root / "toolchains")
    extra = {"CARREL_LEASE_SECONDS": "5", "JOB_LOOP_INTERVAL": "0.5"}
    made = Site(root / "site", (Backend("north"),), free_port(), "bubblewrap", root / "toolchains", extra)
    with live_site(made, root / "studies") as live:
        yield live


@pytest.mark.bubblewrap
@pytest.mark.parametrize("seed", range(3))
def test_killing_anything_at_any_time_changes_nothing(site, seed):
    rng = random.Random(seed)
    asked = site.request({"project.yaml": YAML, "step.py": STEP}, name=f"kills{seed}")
    site.await_controller()
    rap = site.submit(asked)
    kills = 0

    def kill_now_and_then() -> None:
        nonlocal kills
        victim = rng.choice(site.running.processes)
        if kills < 8 and rng.random() < 0.15 and victim.popen and victim.popen.poll() is None:
            victim.popen.kill()
            kills += 1

    def done(jobs) -> bool:
        kill_now_and_then()
        return all(job["status"] in ("succeeded", "failed") for job in jobs.values())

    jobs = site.wait(rap, until=done)
    assert {name: job["status_code"] for name, job in jobs.items()} == dict.fromkeys(jobs, "succeeded")
    assert len(jobs) == WIDTH + 2
    assert (site.level4(asked.workspace) / "output/last.csv").read_text() == f"total\n{2 * WIDTH + 1}\n"
    manifest = site.manifest(asked.workspace)
    assert set(manifest) == {f"output/{name}.csv" for name in jobs}
    assert {about["job_id"] for about in manifest.values()} == {job["identifier"] for job in jobs.values()}
    assert kills > 0
    # What a kill left behind is collected when an agent starts: nothing leaks.
    site.running.processes[1].popen.kill()
    volumes = site.site.high_privacy("north") / "volumes"
    site.until(lambda: {path.name for path in volumes.iterdir()} == {"agent.lock"})

"""Kill -9 whatever runs, again and again, while a DAG runs: the end is the same as if nothing had happened."""

import hashlib
import random
import signal
import time
from contextlib import suppress

import pytest
from tests.support.admin import manage
from tests.support.site import LiveSite, finished, free_port, live_site

from carrel.clients.rap import RapUnavailable
from carrel.executors.toolchains import build
from carrel.messages.rap import RapCreateRequest
from carrel.site.layout import Site, SiteBackend
from carrel.site.processes import Process
from carrel.site.study_requests import new_rap_id

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
    made = Site(
        root / "site",
        (SiteBackend("north"),),
        port=free_port(),
        executor="bubblewrap",
        toolchains=root / "toolchains",
        extra_env=extra,
    )
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


CHAOS_STEP = """
import os, sys, time
name, version, seconds, *needs = sys.argv[1:]
assert all(open(f'output/{need}.csv').read() for need in needs)
time.sleep(float(seconds))
os.makedirs('output', exist_ok=True)
seen = '+'.join(open(f'output/{need}.csv').read().split()[1] for need in needs)
open(f'output/{name}.csv', 'w').write(f'made_by\\n{name}-{version}({seen})\\n')
"""
CHAOS_ACTIONS = {"make": (), "hold": (), "read": ("make", "hold"), "last": ("read",)}


def chaos_project(version: int, seconds: float) -> dict[str, str]:
    """A study whose outputs say which version made them, and of which inputs."""
    lines = ["version: '5'", "actions:"]
    for name, needs in CHAOS_ACTIONS.items():
        run = f"python:v2 python step.py {name} v{version} {seconds:.2f} {' '.join(needs)}".rstrip()
        outputs = f"{{moderately_sensitive: {{a: output/{name}.csv}}}}"
        lines.append(f"  {name}: {{run: {run}, needs: [{', '.join(needs)}], outputs: {outputs}}}")
    return {"project.yaml": "\n".join(lines) + "\n", "step.py": CHAOS_STEP}


class Witness:
    """Looks from outside, again and again, at what is published, and remembers who was said to have made it."""

    def __init__(self, site: LiveSite, workspace: str) -> None:
        self.site, self.workspace = site, workspace
        self.makers: dict[str, set[str]] = {}
        """By job id, the paths that it was ever seen to have made."""

    def look(self) -> None:
        with suppress(FileNotFoundError):
            for path, entry in self.site.manifest(self.workspace).items():
                self.makers.setdefault(entry["job_id"], set()).add(path)

    def check(self, jobs: dict[str, dict]) -> None:
        """Every job seen to have published is one that the controller says ended well; files are what it made."""
        published = {job_id: jobs[job_id]["status_code"] for job_id in self.makers}
        assert set(published.values()) <= {"succeeded"}, published
        for path, entry in self.site.manifest(self.workspace).items():
            stored = (self.site.high(self.workspace) / path).read_bytes()
            assert hashlib.sha256(stored).hexdigest() == entry["content_hash"], path
            assert (self.site.level4(self.workspace) / path).read_bytes() == stored, path


@pytest.mark.bubblewrap
@pytest.mark.parametrize("seed", range(2))
def test_cancels_maintenance_and_overlaps_while_agents_are_dead_frozen_or_cut_off(site, seed):
    rng = random.Random(100 + seed)
    workspace = f"chaos{seed}"
    controller, agent = site.running.processes[:2]
    witness = Witness(site, workspace)
    raps: list[str] = []
    site.await_controller()

    def send(process: Process, signum: int) -> None:
        if process.popen and process.popen.poll() is None:
            process.popen.send_signal(signum)

    def ask(version: int) -> None:
        files = chaos_project(version, rng.choice([0.2, 0.6]))
        actions = rng.choice([("run_all",), ("make",), ("read",), ("make", "last")])
        study = site.request(files, *actions, name=f"{workspace}v{version}", workspace=workspace)
        body = RapCreateRequest.model_validate(study.body(new_rap_id(), "north"))  # sent again it is the same request
        counts: list[int] = []
        site.until(lambda: counts.append(site.requests.client.create(body).count) or True)
        if counts[0]:
            raps.append(body.rap_id)

    def cancel() -> None:
        jobs = site.jobs(rng.choice(raps))
        active = [name for name, job in jobs.items() if job["status"] in ("pending", "running")]
        if active:
            [rap] = {job["rap_id"] for job in jobs.values()}
            site.requests.client.cancel(rap, [rng.choice(active)])

    def executing() -> list[tuple[str, str]]:
        jobs = [job for rap in raps for job in site.jobs(rap).values()]
        return [(job["rap_id"], job["action"]) for job in jobs if job["status_code"] == "executing"]

    def watch(seconds: float, *, repair: bool = True) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if repair:
                site.running.check()
            witness.look()
            time.sleep(0.02)

    def cancel_in_the_dark() -> None:
        """The agent hears of it only when it is back; by then what it started has ended."""
        with suppress(RapUnavailable):
            running = executing()
            if not running:
                return
            send(agent, rng.choice([signal.SIGKILL, signal.SIGSTOP]))
            rap, action = rng.choice(running)
            site.requests.client.cancel(rap, [action])
        watch(1.0, repair=False)
        send(agent, signal.SIGCONT)

    def trouble() -> None:
        troubles = ["kill", "freeze", "wake", "cut off", "cancel", "reboot", "maintenance", *["in the dark"] * 5]
        choice = rng.choice(troubles)
        if choice == "kill":
            send(agent, signal.SIGKILL)
        elif choice == "freeze":
            send(agent, signal.SIGSTOP)
        elif choice == "wake":
            send(agent, signal.SIGCONT)
        elif choice == "cut off":
            send(controller, signal.SIGKILL)
        elif choice == "cancel" and raps:
            with suppress(RapUnavailable):
                cancel()
        elif choice == "in the dark":
            cancel_in_the_dark()
        elif choice == "reboot":
            manage(site, "prepare_for_reboot", "--backend", "north", "-y")
            manage(site, "pause", "off", "north")
        elif choice == "maintenance":
            manage(site, "db_maintenance", "on", "north")
            manage(site, "db_maintenance", "off", "north")

    try:
        for version in range(4):
            ask(version)
            for _ in range(rng.randint(3, 6)):
                trouble()
                watch(rng.random())
    finally:
        send(agent, signal.SIGCONT)
    for rap in raps:
        site.wait(rap, until=lambda jobs: witness.look() or finished(jobs))
    witness.look()
    jobs = {job["identifier"]: job for rap in raps for job in site.jobs(rap).values()}
    told = {job["status_code"] for job in jobs.values()}
    assert told <= {"succeeded", "cancelled_by_user", "dependency_failed"}, told
    assert witness.makers
    witness.check(jobs)

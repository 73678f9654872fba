"""A backend under fire: whatever studies do, between any two of them a plain job runs to its end.

In CI all named attacks, then 20 seconds of others with a fixed seed; `./just soak` runs an hour with a seed of its own.
What a failure names makes its attack again: `CARREL_SOAK_ONLY="merge keys"` a known one,
`CARREL_SOAK_ONLY="texts 7/42"` the 42nd of seed 7.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from itertools import chain, count
from pathlib import Path

import pytest
from tests.support.hostile import Attack, attack, known_attacks
from tests.support.site import LiveSite, finished, free_port, live_site

from carrel.clients.rap import RapRefused
from carrel.executors.toolchains import build
from carrel.site.layout import Site, SiteBackend
from carrel.site.study_requests import StudyRequest

SECONDS = float(os.environ.get("CARREL_SOAK_SECONDS", "20"))
SEED = int(os.environ.get("CARREL_SOAK_SEED", "1"))
ONLY = os.environ.get("CARREL_SOAK_ONLY", "")
MEMORY_BYTES = 300 << 20
DISK_BYTES = 1 << 30
"""What one attack may add to the disk: its workspace, its logs, a mirror of its repository."""
PLAIN = {
    "project.yaml": "version: '5'\nactions:\n  plain:\n    run: python:v2 python plain.py\n"
    "    outputs: {moderately_sensitive: {t: output/plain.csv}}\n",
    "plain.py": "open('output/plain.csv', 'w').write('a,b\\n1,2\\n')\n",
}
USERS_FAULTS = {
    "succeeded",
    "nonzero_exit",
    "unmatched_patterns",
    "cancelled_by_user",
    "dependency_failed",
    "job_error",
}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[LiveSite]:
    (tmp_path / "nothing.txt").write_text("")
    build("python", "v2", tmp_path / "nothing.txt", tmp_path / "toolchains")
    described = Site(
        tmp_path / "site",
        (SiteBackend("north"),),
        port=free_port(),
        executor="bubblewrap",
        toolchains=tmp_path / "toolchains",
    )
    try:
        with live_site(described, tmp_path / "studies") as live:
            yield live
    finally:
        # Folders deeper than pytest's own removal recurses would end some later session.
        subprocess.run(["rm", "-rf", str(tmp_path)], check=True)


@pytest.mark.bubblewrap
@pytest.mark.timeout(int(SECONDS) + 900)
def test_a_plain_job_runs_between_any_two_attacks(site: LiveSite, tmp_path: Path) -> None:
    plain = site.request(PLAIN, name="plain", force=True)
    processes = [process.popen.pid for process in site.running.processes if process.popen]
    run_plain(site, plain)
    attacks = chosen(ONLY) if ONLY else chain(known_attacks(), for_a_time(SECONDS))
    suffered = 0
    for assault in attacks:
        suffer(site, assault, tmp_path / "hostile.git", plain, processes)
        suffered += 1
    print(f"{suffered} attacks, seed {SEED}; peak memory: {[peak_memory(pid) >> 20 for pid in processes]} MiB")
    assert suffered >= (1 if ONLY else len(list(known_attacks())))


def for_a_time(seconds: float) -> Iterator[Attack]:
    ends = time.monotonic() + seconds
    for number in count():
        if time.monotonic() > ends:
            return
        yield attack(SEED, number)


def chosen(name: str) -> list[Attack]:
    if known := [assault for assault in known_attacks() if assault.name == name]:
        return known
    seed, _, number = name.split()[-1].partition("/")
    return [attack(int(seed), int(number))]


def suffer(site: LiveSite, assault: Attack, repo: Path, plain: StudyRequest, processes: list[int]) -> None:
    """One attack, a plain job after it, and nothing out of order. The attack's name is in every complaint."""
    shutil.rmtree(repo, ignore_errors=True)
    commit = assault.commit(repo)
    before = allocated(site.site.root)
    study = StudyRequest(
        repo=str(repo), commit=commit, branch="main", workspace="hostile", actions=("run_all",), force=True
    )
    try:
        run_attack(site, study, assault)
        run_plain(site, plain)
        assert [process.popen.pid for process in site.running.processes if process.popen] == processes, "a process died"
        too_large = [pid for pid in processes if peak_memory(pid) > MEMORY_BYTES]
        assert not too_large, f"peak memory: {[peak_memory(pid) >> 20 for pid in processes]} MiB"
        site.until(lambda: not leftovers(site))
        assert allocated(site.site.root) - before < DISK_BYTES, "it filled the disk"
    except AssertionError as error:
        raise AssertionError(f"{assault.name}: {error}; left behind: {sorted(leftovers(site))[:9]}") from error
    for store in (site.high("hostile"), site.level4("hostile")):
        shutil.rmtree(store, ignore_errors=True)


def run_attack(site: LiveSite, study: StudyRequest, assault: Attack) -> None:
    try:
        rap = site.submit(study)
    except RapRefused as refusal:
        print(f"{assault.name}: refused: {refusal.details[:150]!r}")
        if refusal.status != 400 or "Unknown error" in refusal.details:
            raise AssertionError(f"the refusal has no words: {refusal.status} {refusal}") from refusal
        return
    looks = 0

    def ended(jobs: dict) -> bool:
        nonlocal looks
        looks += 1
        if looks == assault.cancelled:
            site.requests.client.cancel(rap, list(jobs))
        return finished(jobs)

    jobs = site.wait(rap, until=ended)
    print(f"{assault.name}: {[(job['status_code'], job['status_message'][:150]) for job in jobs.values()]}")
    wrong = [
        (job["status_code"], job["status_message"]) for job in jobs.values() if job["status_code"] not in USERS_FAULTS
    ]
    assert not wrong, f"the study's fault is called something else: {wrong}"


def run_plain(site: LiveSite, plain: StudyRequest) -> None:
    jobs = site.wait(site.submit(plain))
    assert {job["status_code"] for job in jobs.values()} == {"succeeded"}, jobs
    assert (site.level4("plain") / "output/plain.csv").read_text() == "a,b\n1,2\n"


def peak_memory(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def leftovers(site: LiveSite) -> set[str]:
    """What lies in the folders that only work in progress fills."""
    high = site.site.high_privacy("north")
    folders = (
        high / "volumes",
        high / ".staging",
        high.parent / "medium_privacy" / ".staging",
        *high.glob("workspaces/*/.staging"),
    )
    found = {str(path) for folder in folders if folder.is_dir() for path in folder.iterdir()}
    return found - {str(high / "volumes" / "agent.lock")}


def allocated(root: Path) -> int:
    """Bytes on disk below `root`; a file that vanishes meanwhile counts for nothing."""
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            try:
                total += (Path(folder) / name).lstat().st_blocks * 512
            except OSError:
                continue
    return total

"""The processes of a site: started, watched, started again when they die, and stopped together.

They die with us: if this process is killed, the kernel ends them (PR_SET_PDEATHSIG). Jobs do not: their runtime
outlives the agent, and the next start adopts them.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from carrel.site.layout import Secrets, Site, SiteError
from carrel.units.locks import LockHeld, lock

STOP_SECONDS = 10.0
RESTART_PAUSES = (0.2, 1.0, 5.0)
MAX_LOG_BYTES = 20_000_000
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(slots=True, kw_only=True)
class Process:
    """One child and its log. `popen` is None before the first start."""

    name: str
    argv: Sequence[str]
    env: dict[str, str]
    log: Path
    popen: subprocess.Popen[bytes] | None = None
    starts: int = 0
    quick_deaths: int = 0
    not_before: float = field(default=0.0)
    started: float = 0.0

    def start(self) -> None:
        if self.log.exists() and self.log.stat().st_size > MAX_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(
                self.argv, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=_die_with_parent,
            )  # fmt: skip
        self.starts += 1
        self.started = time.monotonic()

    def poll(self) -> int | None:
        """Return the exit code of a child that has ended since it was started, else None."""
        return self.popen.poll() if self.popen else None

    def plan_restart(self) -> float:
        """Return the seconds until the next start: few after a long life, more after each quick death."""
        self.quick_deaths = self.quick_deaths + 1 if time.monotonic() - self.started < 10 else 0
        pause = RESTART_PAUSES[min(self.quick_deaths, len(RESTART_PAUSES) - 1)]
        self.not_before = time.monotonic() + pause
        self.popen = None
        return pause

    def last_lines(self, count: int = 15) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])


def processes_of(site: Site, keys: Secrets) -> list[Process]:
    """Return the controller (web side and sweep in one process), the job server if there is one, then the agents."""
    python = (sys.executable, "-m")
    controller = Process(
        name="controller",
        argv=[*python, "carrel.web.serve", f"127.0.0.1:{site.port}", "--with-sweep"],
        env=site.controller_env(keys),
        log=site.logs / "controller.log",
    )
    agents = [
        Process(
            name=f"agent {backend.name}",
            argv=[*python, "carrel.agent.service"],
            env=site.agent_env(backend, keys),
            log=site.logs / f"agent-{backend.name}.log",
        )
        for backend in site.backends
    ]
    if site.jobserver_port is None:
        return [controller, *agents]
    job_server = Process(
        name="job server",
        argv=[*python, "carrel.web.serve", f"127.0.0.1:{site.jobserver_port}", "--with-sweep"],
        env=site.jobserver_env(keys),
        log=site.logs / "job-server.log",
    )
    return [controller, job_server, *agents]


@contextmanager
def owned(site: Site) -> Iterator[None]:
    """Hold the site's lock: two sets of processes on one store would each think it theirs."""
    site.make_folders()
    try:
        descriptor = lock(site.root / "lock", timeout=0, note=str(os.getpid()).encode())
    except LockHeld as error:
        holder = error.note.decode(errors="replace").strip() or "unknown"
        raise SiteError(
            f"{site.root} is in use by process {holder}: stop that `carrel up` first, or choose another --dir"
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)


class Running:
    """A started site. `watch()` returns when `stop` is set; `close()` ends every process."""

    def __init__(self, site: Site, keys: Secrets, tell: Callable[[str], object]):
        self.site = site
        self.keys = keys
        self.tell = tell
        self.stop = threading.Event()
        self.processes = processes_of(site, keys)

    def start(self, ready_within: float = 60.0, before_agents: Callable[[], object] = lambda: None) -> None:
        """Start all; the agents once the servers answer. SiteError with the log's end when one does not.

        `before_agents` waits for what agents need, such as data that is made while the servers start.
        """
        addresses = {"controller": f"{self.site.url}/readyz", "job server": f"{self.site.jobserver_url}/readyz"}
        servers = [process for process in self.processes if process.name in addresses]
        migrate = [sys.executable, "-m", "django", "migrate", "--no-input", "--settings", "carrel.web.settings"]
        migrations = {
            process.name: subprocess.Popen(
                migrate, env=process.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            for process in servers
        }
        for name, migration in migrations.items():
            _, errors = migration.communicate()
            if migration.returncode != 0:
                raise SiteError(f"the {name}'s database could not be made:\n{errors.decode(errors='replace')[-2000:]}")
        deadline = time.monotonic() + ready_within
        for server in servers:
            server.start()
        for server in servers:
            self._wait_ready(server, addresses[server.name], deadline)
        before_agents()
        for process in self.processes:
            if process not in servers:
                process.start()

    def start_review_site(self) -> None:
        """Start the review site too, which needs its token; nothing waits until it answers."""
        address = f"127.0.0.1:{self.site.review_port}"
        review = Process(
            name="review site",
            argv=[sys.executable, "-m", "carrel.web.serve", address, "--migrate", "--with-sweep"],
            env=self.site.review_env(self.keys),
            log=self.site.logs / "review-site.log",
        )
        review.start()
        self.processes.append(review)

    def wait_for_review_site(self, ready_within: float = 60.0) -> None:
        """Return once the review site answers. SiteError with the log's end when it does not."""
        (review,) = [process for process in self.processes if process.name == "review site"]
        self._wait_ready(review, f"{self.site.review_url}/sign-in/", time.monotonic() + ready_within)

    def _wait_ready(self, server: Process, address: str, deadline: float) -> None:
        while time.monotonic() < deadline and not self.stop.is_set():
            if (code := server.poll()) is not None:
                raise SiteError(f"the {server.name} ended with code {code}:\n{server.last_lines()}")
            with suppress(httpx.HTTPError):
                if httpx.get(address, timeout=2, trust_env=False).status_code == 200:
                    return
            self.stop.wait(0.05)
        if not self.stop.is_set():
            raise SiteError(f"the {server.name} did not answer at {address}; see {server.log}")

    def check(self) -> None:
        """Start again what has died; say so."""
        for process in self.processes:
            if (code := process.poll()) is not None:
                pause = process.plan_restart()
                said = process.last_lines(1)
                self.tell(f"{process.name} ended (code {code}); starting it again in {pause:g} s; log: {process.log}")
                if said:
                    self.tell(f"  its last words: {said}")
            if process.popen is None and time.monotonic() >= process.not_before:
                process.start()

    def watch(self, every: float = 0.2) -> None:
        while not self.stop.wait(every):
            self.check()

    def close(self) -> None:
        """Ask, wait, then kill. Jobs that run go on: the next start adopts them."""
        living = [process.popen for process in self.processes if process.popen and process.popen.poll() is None]
        for popen in living:
            popen.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for popen in living:
            try:
                popen.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                popen.kill()
                popen.wait()


@contextmanager
def running(
    site: Site, tell: Callable[[str], object], before_agents: Callable[[], object] = lambda: None
) -> Iterator[Running]:
    """The site, up; Ctrl-C and SIGTERM set `stop`; whatever happens, its processes end with the block."""
    with owned(site):
        site.describe()
        started = Running(site, Secrets.of(site), tell)
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in before:
            signal.signal(number, lambda *_: started.stop.set())
        try:
            started.start(before_agents=before_agents)
            yield started
        finally:
            started.close()
            for number, handler in before.items():
                signal.signal(number, handler)

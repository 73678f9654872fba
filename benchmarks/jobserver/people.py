"""50 people at once for a minute, on two web workers and PostgreSQL: p95 of each page, and whether a run was lost.

Each person walks through the pages of a working day and asks for a run now and then; every one that was answered
with its page must be in the database, once. Run: `python -m benchmarks.jobserver.people`.
"""

import itertools
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

PEOPLE = 50
SECONDS = 60
WORKERS = 2
SCALE = 0.02
RUN_EVERY = 8
"""One walk in so many ends with asking for a run."""
LOST_ALLOWED = 0
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
FIELD = re.compile(r'<input[^>]*type="hidden"[^>]*>')
ATTRIBUTE = re.compile(r'(name|value)="([^"]*)"')


def main() -> int:
    from tests.support.postgres import running_cluster

    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="carrel-bench-people-")))
        cluster = stack.enter_context(running_cluster())
        cluster.execute("CREATE DATABASE jobserver")
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "carrel.web.settings",
            "CARREL_APPS": "jobserver",
            "WORKDIR": str(scratch),
            "CARREL_DATABASE_URL": cluster.url("jobserver"),
            "DJANGO_JOBSERVER_SECRET_KEY": "benchmark",
            "JOBSERVER_URL": "http://127.0.0.1",
            "ALLOW_LOCAL_GIT_REPOS": "true",
        }
        cookies = fill(scratch)
        addresses = [stack.enter_context(WebWorker()) for _ in range(WORKERS)]
        print(f"{PEOPLE} people on {WORKERS} web workers and PostgreSQL for {SECONDS} s", flush=True)
        walkers = [Walker(addresses[i % WORKERS], cookie, i) for i, cookie in enumerate(cookies)]
        threads = [threading.Thread(target=walker.walk, args=(time.monotonic() + SECONDS,)) for walker in walkers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return report(walkers)


def fill(scratch: Path) -> list[str]:
    """Make the database, and return each person's session."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.test import Client

    from benchmarks.jobserver.data import seed
    from carrel.jobserver.models import User, Workspace
    from carrel.site.examples import INSURANCE

    call_command("migrate", verbosity=0)
    seed(SCALE)
    INSURANCE.commit(scratch / "study.git")
    Workspace.objects.update(repo_url=str(scratch / "study.git"))
    cookies = []
    for user in User.objects.order_by("pk")[:PEOPLE]:
        client = Client()
        client.force_login(user, "allauth.account.auth_backends.AuthenticationBackend")
        cookies.append(client.cookies["carrel_session"].value)
    return cookies


class WebWorker:
    """One web process on a free port; gives its address."""

    def __enter__(self) -> str:
        command = [sys.executable, "-m", "carrel.web.serve", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout
        return f"http://127.0.0.1:{self.process.stdout.readline().split()[-1].rstrip('.')}"

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait()


class Walker:
    """One person: what they opened, how long each answer took, which runs they were told of."""

    def __init__(self, address: str, cookie: str, number: int) -> None:
        self.http = httpx.Client(
            base_url=address, cookies={"carrel_session": cookie}, timeout=60, headers={"Host": "127.0.0.1"}
        )
        self.project = f"/project-{number}/"
        self.number = number
        self.random = random.Random(number)
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.faults: list[str] = []
        self.runs: list[str] = []

    def walk(self, end: float) -> None:
        workspace = f"{self.project}workspace-{self.number}/"
        pages = ["/", "/projects/", self.project, workspace, "/runs/", f"{workspace}run/", "/status/"]
        for count in itertools.count(self.number):
            for path in pages:
                if time.monotonic() > end:
                    return
                self.open(path)
            if count % RUN_EVERY == 0:
                self.ask_for_run(f"{workspace}run/")

    def open(self, path: str) -> str:
        name = re.sub(r"\d+", "N", path)
        begin = time.perf_counter()
        answer = self.http.get(path)
        self.seconds[name].append(time.perf_counter() - begin)
        if answer.status_code != 200:
            self.faults.append(f"GET {name}: {answer.status_code}")
        return answer.text

    def ask_for_run(self, path: str) -> None:
        """Tick one action on one backend of the run page, as the form that it shows says."""
        page = self.open(path)
        fields: list[tuple[str, Any]] = []
        for field in FIELD.findall(page):
            attributes = dict(ATTRIBUTE.findall(field))
            if "name" in attributes:
                fields.append((attributes["name"], attributes.get("value", "")))
        body = dict(fields) | {"tick": "north:extract", "notify": "never"}
        begin = time.perf_counter()
        answer = self.http.post(path, data=body, headers={"Referer": str(self.http.base_url)})
        self.seconds["ask for a run"].append(time.perf_counter() - begin)
        if answer.status_code in (302, 303):
            self.runs.append(answer.headers["Location"])
        else:
            self.faults.append(f"POST {re.sub(r'[0-9]+', 'N', path)}: {answer.status_code}")


def report(walkers: list[Walker]) -> int:
    from carrel.jobserver.models import RunGroup

    seconds: dict[str, list[float]] = defaultdict(list)
    for walker in walkers:
        for name, times in walker.seconds.items():
            seconds[name] += times
    for name, times in sorted(seconds.items()):
        p95 = statistics.quantiles(times, n=20)[18] if len(times) > 1 else times[0]
        print(f"{name:<36} {len(times):6} answers   median {statistics.median(times):6.3f} s   p95 {p95:6.3f} s")
    total = sum(map(len, seconds.values()))
    told = {location for walker in walkers for location in walker.runs}
    stored = RunGroup.objects.exclude(submission_key__startswith="seed-").count()
    faults = [fault for walker in walkers for fault in walker.faults]
    print(f"{total} answers, {total / SECONDS:.0f} a second")
    print(f"{len(told)} runs told of, {stored} stored; {len(faults)} faults")
    for fault in sorted(set(faults)):
        print(f"  {faults.count(fault)} x {fault}")
    lost = abs(stored - len(told))
    return 1 if faults or lost > LOST_ALLOWED else 0


if __name__ == "__main__":
    sys.exit(main())

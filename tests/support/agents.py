"""A study, a controller stand-in and a real agent process, for tests of the agent."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.task_server import TOKEN, TaskServer

ENV = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org", "GIT_COMMITTER_NAME": "t"}
ENV |= {"GIT_COMMITTER_EMAIL": "t@example.org", "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}
PROJECT = """
version: 5
actions:
  make:
    run: python:v2 sh code/make.sh
    outputs:
      highly_sensitive:
        table: output/*.csv
"""


def make_repo(folder: Path, files: dict[str, str]) -> str:
    """A git repository with one commit on `main`; returns the commit."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "Study"]):
        subprocess.run(["git", *command], cwd=folder, env=ENV, check=True)
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, env=ENV, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@dataclass
class Site:
    """One backend on disk. `repo` and `commit` are of the study."""

    root: Path
    server: TaskServer
    repo: Path
    commit: str
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen | None = None

    @property
    def high(self) -> Path:
        return self.root / "high"

    @property
    def medium(self) -> Path:
        return self.root / "medium"

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "BACKEND": "test",
            "WORKDIR": str(self.root / "work"),
            "HIGH_PRIVACY_STORAGE_BASE": str(self.high),
            "MEDIUM_PRIVACY_STORAGE_BASE": str(self.medium),
            "CONTROLLER_TASK_API_ENDPOINT": self.server.url,
            "CONTROLLER_TASK_API_TOKEN": TOKEN,
            "EXECUTOR": "process",
            "ALLOW_LOCAL_GIT_REPOS": "true",
            "JOB_LOOP_INTERVAL": "0.05",
            **self.env,
            **more,
        }

    def start(self, **more: str) -> subprocess.Popen:
        """Start the agent; its messages go to `agent.log`."""
        with (self.root / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "carrel.agent.service"],
                env=self.environment(**more),
                stdout=log,
                stderr=log,
                cwd=self.root,
            )
        return self.process

    def kill(self) -> None:
        """As a power cut would, but for the jobs."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self) -> int:
        """Ask it to end, once it is so far that it can hear."""
        process = self.process
        assert process is not None
        eventually(lambda: process.poll() is not None or _catches(process.pid, signal.SIGTERM))
        process.terminate()
        return process.wait(60)

    def log(self) -> str:
        path = self.root / "agent.log"
        return path.read_text() if path.exists() else ""

    def task(self, job_id: str = "job1", attempt: int = 1, **changes: object) -> dict:
        """A runjob task; `changes` to its definition."""
        task_id = f"{job_id}-{attempt:03}"
        definition = {
            "id": job_id,
            "rap_id": "rap1",
            "task_id": task_id,
            "repo_url": str(self.repo),
            "commit": self.commit,
            "study": {"git_repo_url": str(self.repo), "commit": self.commit, "branch": "main"},
            "workspace": "wspace",
            "action": "make",
            "created_at": 1_700_000_000,
            "user": "researcher",
            "image": "ghcr.io/opensafely-core/python:v2",
            "image_sha": None,
            "args": ["sh", "code/make.sh"],
            "env": {"OPENSAFELY_BACKEND": "test"},
            "inputs": [],
            "input_job_ids": [],
            "output_spec": {"output/*.csv": "highly_sensitive"},
            "allow_database_access": False,
            "database_name": None,
            "cpu_count": 1.0,
            "memory_limit": "1G",
            "level4_max_filesize": 16 * 1024 * 1024,
            "level4_max_csv_rows": 5000,
            "level4_file_types": [".csv", ".txt", ".json", ".html", ".md", ".svg", ".svgz", ".png", ".log"],
            **changes,
        }
        task = {"id": task_id, "backend": "test", "type": "runjob", "definition": definition, "attributes": {}}
        task["created_at"] = 1_700_000_000
        if not self.server.contract:
            extension = {"attempt_token": f"token-{task_id}", "attempt": attempt, "lease_seconds": 30.0}
            task["carrel"] = {**extension, "timeout_seconds": None}
        return task

    def script(self, text: str, **changes: object) -> dict:
        """A task that runs a line of shell."""
        return self.task(args=["sh", "-c", text], **changes)


@contextmanager
def deep_folder(root: Path, depth: int = 1500) -> Iterator[None]:
    """Folders nested deeper than Python recurses; gone afterwards, for pytest could not remove them."""
    fd = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    try:
        yield
    finally:
        subprocess.run(["rm", "-rf", "--", str(root / "d")], check=True)


def _catches(pid: int, number: int) -> bool:
    caught = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


def eventually(condition, timeout: float = 60, what: str = "") -> None:
    """Wait until `condition()` holds; for what no event tells a test of."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(what or "it did not come true in time")
        time.sleep(0.01)

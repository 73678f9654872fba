"""Running the git program: a bare environment, a time limit, and its faults sorted into ours and the user's."""

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from carrel.repos.errors import NetworkError, RepoInfrastructureError, RepoNotFound
from carrel.repos.limits import Deadline
from carrel.repos.policy import RepoPolicy

# What git may learn of the machine: how to reach the network, and nothing of its owner.
_KEPT = (
    "PATH",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "all_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
)
_FIXED = {
    "LC_ALL": "C.UTF-8",
    "HOME": "/nonexistent",
    "XDG_CONFIG_HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_ADVICE": "0",
    "GIT_OPTIONAL_LOCKS": "0",
}
_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.symlinks": "true",
    "core.fsync": "committed,loose-object",
    "credential.helper": "",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "fetch.writeCommitGraph": "false",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "advice.detachedHead": "false",
    "protocol.version": "2",
}

# git's words for "there is no such commit or branch", "this disk is full", "there is nothing there for you"; whatever
# else a remote call says is a fault of the network.
_NO_SUCH_REF = re.compile(r"not our ref|couldn't find remote ref|unadvertised object|no such remote ref", re.IGNORECASE)
_OUR_DISK = re.compile(r"no space left|disk quota|read-only file system|input/output error|write error", re.IGNORECASE)
_NO_SUCH_REPO = re.compile(
    r"repository '.*' (not found|does not exist)"
    r"|does not appear to be a git repository"
    r"|Repository not found"
    r"|could not read (Username|Password)"
    r"|Authentication failed"
    r"|returned error: (401|403|404|410|451)"
    r"|not valid: is this a git repository",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Result:
    returncode: int
    stdout: bytes
    stderr: str
    """Redacted, safe to show to an operator."""

    @property
    def ok(self) -> bool:
        return self.returncode == 0


class TimedOut(RepoInfrastructureError):
    """Git was still running at the deadline and has been killed."""


@dataclass(frozen=True, slots=True)
class Git:
    """Runs git for one repository: `git_dir` is its mirror, or None for commands that need none."""

    policy: RepoPolicy
    repo_url: str
    git_dir: Path | None = None
    lock_fd: int | None = None
    """Handed down to git, so that the lock outlives us while git does."""

    def run(
        self,
        args: Sequence[str],
        deadline: Deadline,
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
    ) -> Result:
        """Run git with `args`; raises TimedOut, or RepoInfrastructureError when git cannot be started."""
        command = ["git", *([f"--git-dir={self.git_dir}"] if self.git_dir else []), *args]
        process = self._start(command, {**self._environment(), **(env or {})})
        try:
            stdout, stderr = process.communicate(stdin, timeout=deadline.remaining())
        except subprocess.TimeoutExpired:
            raise TimedOut(f"git {args[0]} did not end in time for {self.shown_url}") from None
        finally:
            _end(process)
        return Result(process.returncode, stdout, self.policy.redact(stderr.decode(errors="replace")))

    @contextmanager
    def conversation(
        self, args: Sequence[str], deadline: Deadline
    ) -> Iterator[tuple[Callable[[str], None], IO[bytes]]]:
        """Talk with a git that answers line by line: yields `(say, hear)`. Git is killed at the deadline, and when
        the conversation is left; what is heard then ends early. Raises RepoInfrastructureError at the deadline."""
        process = self._start(["git", f"--git-dir={self.git_dir}", *args], self._environment())
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(deadline.remaining(), process.kill)
        timer.start()
        try:
            yield partial(_say, process.stdin), process.stdout
            if not deadline.remaining():
                raise RepoInfrastructureError(f"git {args[0]} did not end in time for {self.shown_url}")
        finally:
            timer.cancel()
            _end(process)

    def remote(self, args: Sequence[str], deadline: Deadline) -> Result:
        """Run a command that talks to the repository's host. A result that is not `ok` means one thing: the host has
        no such commit or branch. Raises RepoNotFound, NetworkError (host down, time out), RepoInfrastructureError.
        """
        try:
            result = self.run(args, deadline)
        except TimedOut:
            raise NetworkError(f"{self.shown_url} did not answer in time") from None
        if result.ok or _NO_SUCH_REF.search(result.stderr):
            return result
        raise self._fault(args[0], result.stderr)

    def _fault(self, command: str, stderr: str) -> Exception:
        """Whose fault it is that a remote command failed."""
        if _OUR_DISK.search(stderr):
            return RepoInfrastructureError(f"git {command} cannot write the mirror: {_last_line(stderr)}")
        if "dubious ownership" in stderr:
            return RepoNotFound(f"Could not read from {self.shown_url}: it belongs to another user of this machine")
        if _NO_SUCH_REPO.search(stderr):
            return RepoNotFound(f"Could not read from {self.shown_url}")
        if self.policy.is_local(self.repo_url):
            return RepoInfrastructureError(f"git {command} failed for {self.shown_url}: {_last_line(stderr)}")
        return NetworkError(f"Network error when reading {self.shown_url}: {_last_line(stderr)}")

    def local(self, args: Sequence[str], deadline: Deadline, *, env: Mapping[str, str] | None = None) -> Result:
        """Run a command on the mirror alone, that must succeed; raises RepoInfrastructureError."""
        result = self.run(args, deadline, env=env)
        if not result.ok:
            raise RepoInfrastructureError(f"git {args[0]} failed for {self.shown_url}: {_last_line(result.stderr)}")
        return result

    @property
    def shown_url(self) -> str:
        return self.policy.redact(self.repo_url)

    def _start(self, command: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        fds = () if self.lock_fd is None else (self.lock_fd,)
        try:
            return subprocess.Popen(
                command, env=env, stdin=pipe, stdout=pipe, stderr=pipe, pass_fds=fds, process_group=0, cwd="/"
            )
        except OSError as error:
            raise RepoInfrastructureError(f"git cannot be started: {error.strerror}. Is git installed?") from None

    def _environment(self) -> dict[str, str]:
        env = {name: os.environ[name] for name in _KEPT if name in os.environ} | _FIXED
        env |= self.policy.secrets(self.repo_url)
        config = _CONFIG | dict(self.policy.git_config(self.repo_url))
        env["GIT_CONFIG_COUNT"] = str(len(config))
        for number, (key, value) in enumerate(config.items()):
            env[f"GIT_CONFIG_KEY_{number}"] = key
            env[f"GIT_CONFIG_VALUE_{number}"] = value
        return env


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill git and its helpers (git-remote-https) if still there, and leave no pipe open."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def _say(stdin: IO[bytes], text: str) -> None:
    with contextlib.suppress(BrokenPipeError):  # git has ended: the answer, which is none, will show it
        stdin.write(text.encode())
        stdin.flush()


def _last_line(stderr: str) -> str:
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"

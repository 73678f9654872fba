"""Running the git program: a bare environment, a time limit, and its faults sorted into ours and the user's."""

import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from carrel.repos.errors import (
    CheckoutRefused,
    NetworkError,
    RepoDamaged,
    RepoInfrastructureError,
    RepoNotFound,
    RepoTooLarge,
)
from carrel.repos.limits import Deadline
from carrel.repos.policy import RepoPolicy
from carrel.units.limits import GIB, MAX_GIT_ANSWER_BYTES, MAX_GIT_MEMORY_BYTES, MAX_GIT_PACK_BYTES, MIB

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
    # No folder, on any machine; a path that only should not be there may be.
    "HOME": "/dev/null",
    "XDG_CONFIG_HOME": "/dev/null",
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
    "core.bigFileThreshold": "32m",
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
# Git met the limits that `_start` gives it. What a host says of itself begins with "remote:".
_TOO_LARGE = re.compile(
    rf"^(?!remote:).*(died of signal {int(signal.SIGXFSZ)}\b|File too large|Out of memory|Cannot allocate memory)",
    re.MULTILINE,
)
_DAMAGED = re.compile(r"possible repository corruption on the remote side", re.IGNORECASE)
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
        umask: int = -1,
    ) -> Result:
        """Run git with `args`; raises TimedOut, RepoTooLarge for an answer longer than MAX_GIT_ANSWER_BYTES, and
        RepoInfrastructureError when git cannot be started."""
        with self.answering(args, deadline, stdin=stdin, env=env, umask=umask) as answer:
            stdout = b""
            for piece in answer:
                stdout += piece
                if len(stdout) > MAX_GIT_ANSWER_BYTES:
                    limit = MAX_GIT_ANSWER_BYTES // MIB
                    raise RepoTooLarge(f"git {args[0]} has more than {limit} MiB to say of {self.shown_url}")
        return Result(answer.returncode, stdout, answer.stderr)

    @contextmanager
    def answering(
        self,
        args: Sequence[str],
        deadline: Deadline,
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        umask: int = -1,
    ) -> Iterator["Answer"]:
        """Run git and read what it says piece by piece. Git is killed when the reader leaves."""
        git_dir = [f"--git-dir={self.git_dir}"] if self.git_dir else []
        with tempfile.TemporaryFile() as file:
            file.write(stdin)
            file.seek(0)
            process = self._start([*git_dir, *args], {**self._environment(), **(env or {})}, file, umask)
        try:
            yield Answer(self, args[0], process, deadline)
        finally:
            _end(process)

    @contextmanager
    def conversation(
        self, args: Sequence[str], deadline: Deadline
    ) -> Iterator[tuple[Callable[[str], None], IO[bytes]]]:
        """Talk with a git that answers line by line: yields `(say, hear)`. Git is killed at the deadline, and when
        the conversation is left; what is heard then ends early. Raises RepoInfrastructureError at the deadline."""
        seconds = deadline.remaining()
        process = self._start([f"--git-dir={self.git_dir}", *args], self._environment())
        assert process.stdin is not None
        assert process.stdout is not None
        stdin = process.stdin

        def say(text: str) -> None:
            with contextlib.suppress(BrokenPipeError):  # git has ended: the answer, which is none, will show it
                stdin.write(text.encode())
                stdin.flush()

        timer = threading.Timer(seconds, process.kill)
        timer.start()
        try:
            yield say, process.stdout
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
        raise self.fault(args[0], result.stderr)

    def fault(self, command: str, stderr: str) -> Exception:
        """Return whose fault it is that a remote command failed."""
        if _TOO_LARGE.search(stderr):
            return self._too_large()
        if _DAMAGED.search(stderr):
            return RepoDamaged(f"{self.shown_url} is damaged: git fsck there says where. {_last_line(stderr)}")
        if _OUR_DISK.search(stderr):
            return RepoInfrastructureError(f"git {command} cannot write the mirror: {_last_line(stderr)}")
        if "dubious ownership" in stderr:
            return RepoNotFound(f"Could not read from {self.shown_url}: it belongs to another user of this machine")
        if _NO_SUCH_REPO.search(stderr):
            return RepoNotFound(f"Could not read from {self.shown_url}")
        if self.policy.is_local(self.repo_url):
            return RepoInfrastructureError(f"git {command} failed for {self.shown_url}: {_last_line(stderr)}")
        return NetworkError(f"Network error when reading {self.shown_url}: {_last_line(stderr)}")

    def _too_large(self) -> RepoTooLarge:
        pack, memory = MAX_GIT_PACK_BYTES // GIB, MAX_GIT_MEMORY_BYTES // GIB
        return RepoTooLarge(
            f"{self.shown_url} is too large to be read: git may fetch {pack} GiB at once, in {memory} GiB of memory"
        )

    def local(
        self, args: Sequence[str], deadline: Deadline, *, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> Result:
        """Run a command on the mirror alone, that must succeed; raises RepoInfrastructureError, RepoTooLarge."""
        result = self.run(args, deadline, stdin=stdin, env=env)
        if not result.ok and _TOO_LARGE.search(result.stderr):
            raise self._too_large()
        if not result.ok:
            raise RepoInfrastructureError(f"git {args[0]} failed for {self.shown_url}: {_last_line(result.stderr)}")
        return result

    def cannot_write(self, result: Result) -> Exception:
        """Whose fault it is that the files of a commit could not be written: ours where it is the disk's."""
        said = _last_line(result.stderr)
        ours = result.returncode < 0 or _OUR_DISK.search(result.stderr) or "Permission denied" in result.stderr
        if _TOO_LARGE.search(result.stderr):
            return self._too_large()
        if ours:
            return RepoInfrastructureError(f"Cannot write the study's code: {said}")
        return CheckoutRefused(f"{self.shown_url} cannot be checked out: {said}")

    @property
    def shown_url(self) -> str:
        return self.policy.redact(self.repo_url)

    def _start(
        self, args: Sequence[str], env: dict[str, str], stdin: IO[bytes] | int = subprocess.PIPE, umask: int = -1
    ) -> subprocess.Popen[bytes]:
        """Start git, and whatever it starts, with limits on its memory and on the files it writes."""
        program = shutil.which("git", path=env.get("PATH", os.defpath))
        if program is None:
            raise RepoInfrastructureError("git cannot be started: there is none. Is git installed?")
        try:
            return subprocess.Popen(
                ["/bin/sh", "-c", _LIMITED, program, *args],
                env=env,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=() if self.lock_fd is None else (self.lock_fd,),
                process_group=0,
                cwd="/",
                umask=umask,
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


# In the units of POSIX: blocks of 512 bytes, and KiB. Limits lower than ours stay as they are.
_LIMITED = f"""
ulimit -f {MAX_GIT_PACK_BYTES // 512} 2>/dev/null
ulimit -d {MAX_GIT_MEMORY_BYTES // 1024} 2>/dev/null
exec "$0" "$@"
"""
_PIECE = 1 << 16
_LOOK_SECONDS = 0.2
"""How long to listen before it is asked again whether anybody still wants the answer."""


class Answer:
    """What a git process says: iterate over the pieces of its stdout; then `returncode` and `stderr` are there."""

    def __init__(self, git: Git, command: str, process: subprocess.Popen[bytes], deadline: Deadline) -> None:
        self._git, self._command, self._process, self._deadline = git, command, process, deadline
        self._stderr = b""
        self.returncode = -1

    @property
    def stderr(self) -> str:
        """Redacted, safe to show to an operator; the last of it, where there was much."""
        return self._git.policy.redact(self._stderr.decode(errors="replace"))

    def __iter__(self) -> Iterator[bytes]:
        """Raises TimedOut, and GivenUp when nobody wants it any more."""
        process = self._process
        assert process.stdout is not None
        assert process.stderr is not None
        with selectors.DefaultSelector() as selector:
            for pipe in (process.stdout, process.stderr):
                selector.register(pipe, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select(min(self._remaining(), _LOOK_SECONDS)):
                    piece = os.read(key.fd, _PIECE)
                    if not piece:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is process.stderr:
                        self._stderr = (self._stderr + piece)[-_PIECE:]
                    else:
                        yield piece
        returncode = None
        while returncode is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                returncode = process.wait(min(self._remaining(), _LOOK_SECONDS))
        self.returncode = returncode

    def _remaining(self) -> float:
        remaining = self._deadline.remaining()
        if not remaining:
            raise TimedOut(f"git {self._command} did not end in time for {self._git.shown_url}")
        return remaining


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill git and its helpers (git-remote-https) if still there, and leave no pipe open."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def _last_line(stderr: str) -> str:
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"

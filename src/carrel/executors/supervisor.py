"""The supervisor of one sandboxed process: a small program of its own, run as `python -I -S -E supervisor.py ...`.

It outlives the agent that started it, and leaves in the attempt's state folder all that another agent needs to know:

    lock        an flock held as long as the supervisor lives; the kernel lets go of it at a crash or a reboot
    pid         the supervisor's pid, true only while the lock is held
    started     time in ns since 1970 at which the sandbox was started
    log.head, log.tail.0, log.tail.1, ..    stdout and stderr as they came, each line with a timestamp; over the
                limit the first bytes and the last are kept (no more than two tails, the oldest goes first)
    exit        `key value` lines and a last line `end`; it is there, and whole, only when the process has ended

Standard library only and few imports, because one is started for each attempt: ready in some 10 ms. It never sees
the environment of the job, which goes from the agent to bwrap in a memory file, and never its command, which goes to
the shell inside in another: a command line as long as the kernel takes is neither's to cut.
"""

# pathlib and contextlib are not worth their start-up time here, and to start a program is what this one is for.
# ruff: noqa: PTH104, PTH123, SIM105, S606

import _signal as signal  # without the enums of `signal`, whose import takes as long as all the rest
import os
import select
import sys
import time

CHUNK = 1 << 16
DRAIN_SECONDS = 5.0
EXIT_RECORD_BYTES = 4096
LOCK_FD, ARGS_FD, SECCOMP_FD, COMMAND_FD = 3, 4, 5, 6


class Log:
    """Timestamped lines into `log.head` up to `limit // 2` bytes, then into numbered tails; the last two stay."""

    def __init__(self, limit: int) -> None:
        self.half = max(limit // 2, CHUNK * 2)
        self.fd = _create("log.head")
        self.size = 0
        self.dropped = 0
        self.tail = -1
        self.size_before = 0
        self.at_line_start = True

    def feed(self, data: bytes) -> None:
        """Write what came, with the time before each line that begins in it."""
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode() + b".%09dZ " % nanoseconds
        ends_line = data.endswith(b"\n")
        body = data[:-1] if ends_line else data
        text = body.replace(b"\n", b"\n" + stamp) + (b"\n" if ends_line else b"")
        if self.at_line_start:
            text = stamp + text
        self.at_line_start = ends_line
        self._write(text)

    def finish(self) -> None:
        """End the last line, if the process left it open."""
        if not self.at_line_start:
            self._write(b"\n")

    def _write(self, text: bytes) -> None:
        try:
            if self.size + len(text) > self.half:
                self._next_tail()
            while text:
                written = os.write(self.fd, text)
                self.size += written
                text = text[written:]
        except OSError:  # the disk is full: the job goes on, and the record says what is missing
            self.dropped += len(text)

    def _next_tail(self) -> None:
        """The file of the oldest tail becomes the newest, so that a full disk cannot refuse one."""
        number = self.tail + 1
        oldest = number - 2 if number > 1 else number
        fd = _create(f"log.tail.{oldest}")
        os.rename(f"log.tail.{oldest}", f"log.tail.{number}")
        os.close(self.fd)
        if number > 1:
            self.dropped += self.size_before
        self.fd, self.tail, self.size_before, self.size = fd, number, self.size, 0


def _create(name: str) -> int:
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)


class Sandbox:
    """The bwrap process and its cgroups."""

    def __init__(self, command: list[str], cgroups: list[str], address_space: int) -> None:
        self.pid = 0
        self.supervisor = os.getpid()
        self.stopping = False
        self.command, self.cgroups, self.address_space = command, cgroups, address_space
        # A signal that comes between two instructions would not end a wait that begins after it; a byte here does.
        self.signalled, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)

    def on_stop(self, *_: object) -> None:
        """Handle SIGTERM: kill the sandbox, now or as soon as it is there."""
        self.stopping = True
        if self.pid:
            _try_kill(-self.pid)

    def start(self) -> tuple[int, int]:
        """Returns the descriptors to read the output and bwrap's status from."""
        out, child_out = os.pipe()
        status, child_status = os.pipe()
        pid = _fork()
        if pid == 0:
            self._become_bwrap(child_out, child_status)
        # A group of its own, so that a stop also kills a process that bwrap has made but not yet bound to its own end.
        _try_setpgid(pid)
        self.pid = pid
        _let_signals_in()
        for fd in (child_out, child_status, ARGS_FD, SECCOMP_FD, COMMAND_FD):
            os.close(fd)
        if self.stopping:  # told to stop before there was a process to kill
            _try_kill(-pid)
        return out, status

    def _become_bwrap(self, out: int, status: int) -> None:
        try:
            os.close(LOCK_FD)
            _try_setpgid(0)
            for group in self.cgroups:
                _put(f"{group}/cgroup.procs", b"0")
            _try_put("/proc/self/oom_score_adj", b"500")  # a machine out of memory should take the job, not the agent
            self._set_limits()
            for target in (1, 2):
                os.dup2(out, target)
            for fd in (status, ARGS_FD, SECCOMP_FD, COMMAND_FD):
                os.set_inheritable(fd, True)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            _let_signals_in()
            options = ["--json-status-fd", str(status), "--args", str(ARGS_FD), "--"]
            if os.getppid() != self.supervisor:  # killed meanwhile: nobody would watch over this
                os._exit(126)
            os.execv(self.command[0], [self.command[0], *options, *self.command[1:]])
        except BaseException as error:
            os.write(2, f"carrel: the sandbox could not be started: {error}\n".encode())
        os._exit(126)

    def _set_limits(self) -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if self.address_space:
            resource.setrlimit(resource.RLIMIT_AS, (self.address_space, self.address_space))

    def kill_remains(self) -> None:
        """Whatever is left in the cgroup. With bwrap's end the pid namespace is killed, so it is seldom anything."""
        for group in self.cgroups:
            if not _try_put(f"{group}/cgroup.kill", b"1"):
                for pid in _read_words(f"{group}/cgroup.procs"):
                    _try_kill(int(pid))


def _fork() -> int:
    """A fork with SIGTERM held back on both sides: the interpreter forgets what reaches a child that is just made."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    return os.fork()


def _let_signals_in() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _put(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def _try_put(path: str, data: bytes) -> bool:
    try:
        _put(path, data)
    except OSError:
        return False
    return True


def _read_words(path: str) -> list[str]:
    try:
        with open(path) as file:
            return file.read().split()
    except OSError:
        return []


def _try_kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass


def _try_setpgid(pid: int) -> None:
    """Parent and child both do it, so that it is done whichever comes first."""
    try:
        os.setpgid(pid, pid)
    except OSError:
        pass


def _read_counter(groups: list[str], files: tuple[str, ...], word: str | None = None) -> int:
    """A number of the first of `files` that a cgroup has: the one after `word`, or the only one."""
    for group in groups:
        for name in files:
            words = _read_words(f"{group}/{name}")
            if word is None and words:
                return int(words[0])
            if word in words:
                return int(words[words.index(word) + 1])
    return 0


def _read_usage(groups: list[str]) -> dict[str, int]:
    oom_files = ("memory.events", "memory.oom_control")
    return {
        "oom_kills": _read_counter(groups, oom_files, "oom_kill"),
        "pids_refused": _read_counter(groups, ("pids.events",), "max"),
        "memory_peak": _read_counter(groups, ("memory.peak", "memory.max_usage_in_bytes")),
        "cpu_microseconds": _read_counter(groups, ("cpu.stat",), "usage_usec")
        or _read_counter(groups, ("cpuacct.usage",)) // 1000,
    }


def _pump(sandbox: Sandbox, log: Log, out: int) -> int:
    """Read the output till bwrap has ended and all of it is there; returns the wait status."""
    ended = os.pidfd_open(sandbox.pid)
    poll = select.poll()
    poll.register(out, select.POLLIN)
    poll.register(ended, select.POLLIN)
    poll.register(sandbox.signalled, select.POLLIN)
    status: int | None = None
    deadline: float | None = None
    open_ended = True
    while status is None or open_ended:
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        ready = poll.poll(timeout)
        if not ready and deadline is not None:
            break
        for fd, _ in ready:
            if fd == out:
                data = os.read(out, CHUNK)
                if data:
                    log.feed(data)
                else:
                    open_ended = False
                    poll.unregister(out)
            elif fd == sandbox.signalled:
                os.read(fd, CHUNK)  # by now the handler has run
            else:
                poll.unregister(ended)
                status = os.waitpid(sandbox.pid, 0)[1]
                sandbox.pid = 0
                sandbox.kill_remains()
                deadline = time.monotonic() + DRAIN_SECONDS
    return 0 if status is None else status


def _write_exit(record: dict[str, int]) -> None:
    """Into the blocks set aside at the start, then renamed: a full disk cannot lose an exit code."""
    text = "".join(f"{key} {value}\n" for key, value in record.items()) + "end\n"
    fd = os.open("exit.new", os.O_WRONLY | os.O_CREAT, 0o600)
    os.pwrite(fd, text.encode(), 0)
    os.ftruncate(fd, len(text))
    os.close(fd)
    os.rename("exit.new", "exit")


def _was_started(status: int) -> bool:
    """Whether the program itself was started and ended, by what bwrap wrote: nothing, when its set-up failed."""
    os.set_blocking(status, False)
    try:
        return b'"exit-code"' in os.read(status, CHUNK)
    except BlockingIOError:
        return False


def supervise(sandbox: Sandbox, log_limit: int) -> None:
    """Run the sandbox to its end and record how it ended."""
    log = Log(log_limit)
    out, status_fd = sandbox.start()
    code = os.waitstatus_to_exitcode(_pump(sandbox, log, out))
    log.finish()
    failed = code >= 0 and not _was_started(status_fd)
    record = {
        "exit_code": 128 - code if code < 0 else code,
        "failed": int(failed),
        "finished": time.time_ns(),
        "log_dropped": log.dropped,
    }
    _write_exit(record | _read_usage(sandbox.cgroups))


def main(argv: list[str]) -> None:
    """`supervisor.py FOLDER LOG_LIMIT ADDRESS_SPACE CGROUP:CGROUP.. COMMAND..`; returns when a child has taken over."""
    folder, log_limit, address_space, cgroups, *command = argv
    os.chdir(folder)
    os.umask(0o077)
    sandbox = Sandbox(command, [group for group in cgroups.split(":") if group], int(address_space))
    signal.signal(signal.SIGTERM, sandbox.on_stop)
    os.set_inheritable(LOCK_FD, False)
    pid = _fork()
    if pid:
        _put_file("pid", str(pid))
        os._exit(0)
    sandbox.supervisor = os.getpid()
    _let_signals_in()
    _put_file("started", str(time.time_ns()))
    supervise(sandbox, int(log_limit))


def _put_file(name: str, text: str) -> None:
    fd = os.open(name + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(fd, text.encode())
    os.close(fd)
    os.rename(name + ".new", name)


if __name__ == "__main__":
    main(sys.argv[1:])

"""What executors have in common whose processes are watched over by a supervisor of ours, which outlives the agent.

How a process is started is each executor's own; found again, waited for and forgotten it is by its state folder.
"""

import contextlib
import os
import select
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from carrel.executors import cgroups, process_tree, state_folders
from carrel.executors.base import Capabilities, Inspection, Phase, Usage
from carrel.executors.logs import copy_log
from carrel.executors.state_folders import MemoryFiles, SupervisedProcess

DEFAULT_LOG_BYTES = 64 << 20


class SupervisedExecutor:
    """One agent's supervised processes, whose state lies in `state_dir` (on a local disk; never shared by two agents).

    `log_bytes`: how much of each process's log is kept on disk.
    """

    def __init__(self, state_dir: Path, capabilities: Capabilities, *, log_bytes: int = DEFAULT_LOG_BYTES) -> None:
        self.capabilities = capabilities
        self._state_dir = state_dir.absolute()
        self._log_bytes = log_bytes
        self._state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        state_folders.collect(self._state_dir)
        self._supervisor_program = state_folders.compile_supervisor(self._state_dir)

    def _process(self, name: str) -> SupervisedProcess:
        if not name or name.startswith(".") or "/" in name:
            raise ValueError(f"{name!r} cannot be the name of a process: it must be a plain file name.")
        return SupervisedProcess(self._state_dir / name)

    @contextlib.contextmanager
    def _new_state_folder(self, name: str, record: Mapping[str, object]) -> Iterator[int | None]:
        """Make the state folder of a process that is started in the block; gone again when it could not be.

        Gives the folder's lock, for the supervisor to take over; None when there is a process of that name.
        """
        lock = state_folders.create(self._state_dir, name, record)
        if lock is None:
            yield None
            return
        try:
            yield lock
        except BaseException:
            os.close(lock)
            self._process(name).remove()
            raise
        os.close(lock)

    def _spawn_supervisor(
        self,
        name: str,
        lock: int,
        files: MemoryFiles,
        command: Sequence[str],
        *,
        cgroup: Mapping[str, Path] | None = None,
        address_space: int = 0,
    ) -> None:
        """Start `command`, called as bwrap is, under a supervisor.

        It is put into the control group `cgroup`; `address_space` is the limit in bytes of each process where the
        group holds no memory, 0 for none.
        """
        folders = ":".join(str(folder) for folder in cgroups.folders(cgroup or {}))
        arguments = [str(self._log_bytes), str(address_space), folders, *command]
        state_folders.spawn(self._supervisor_program, self._process(name).folder, lock, files, arguments)

    def inspect(self, name: str) -> Inspection:
        """What the state folder says of the process, and the kernel of its lock."""
        process = self._process(name)
        running = process.is_running()  # before the rest: a record written meanwhile belongs to an ended process
        if not running and not process.exists:
            return Inspection(Phase.ABSENT)
        record, end = process.read_record(), None if running else process.read_exit()
        lost = not running and (end is None or (end.failed and not end.oom_kills))
        metadata = dict(record.get("metadata") or {})
        notes = [str(record["limits"])] if "limits" in record else []
        if lost and end:
            notes.append("Lost: bubblewrap could not set up the sandbox; the log has its words.")
        elif lost:
            notes.append("Lost: it ended without an exit code of its own, as when the machine restarts.")
        if end:
            metadata["Usage"] = {"memory_peak": end.memory_peak, "cpu_seconds": end.cpu_microseconds / 1e6}
        if end and end.pids_refused:
            notes.append(
                f"Processes: {end.pids_refused} times the job could start no other one, as it had as many as it may."
            )
        return Inspection(
            phase=Phase.RUNNING if running else Phase.EXITED,
            exit_code=end.exit_code if end and not lost else None,
            oom_killed=bool(end and end.oom_kills),
            started_at=process.read_start_time(),
            finished_at=end.finished if end else None,
            image_id=record.get("image_id"),
            labels=record.get("labels") or {},
            lost=lost,
            metadata=metadata,
            notes=tuple(notes),
        )

    def wait(self, names: Iterable[str], timeout: float, wake: int | None = None) -> set[str]:
        """See `Executor.wait`: by descriptors of the supervisors, which the kernel makes readable at their end."""
        with contextlib.ExitStack() as stack:
            supervisors, ended = {}, set()
            for name in names:
                fd = self._process(name).open_supervisor()
                if fd is None:
                    ended.add(name)
                else:
                    stack.callback(os.close, fd)
                    supervisors[fd] = name
            if ended:
                return ended
            readable = _poll([*supervisors] if wake is None else [*supervisors, wake], timeout)
            ended = {supervisors[fd] for fd in readable if fd in supervisors}
        for name in ended:
            self._process(name).await_release()
        return ended

    def logs(self, name: str, write: Callable[[bytes], object], max_bytes: int | None = None) -> int:
        """See `Executor.logs`; what the supervisor had to drop is counted as left out, too."""
        process = self._process(name)
        end = process.read_exit()
        return copy_log(process.read_log(), write, max_bytes) + (end.log_dropped if end else 0)

    def stop(self, name: str) -> None:
        """Have the supervisor kill the process and all it started, and record its end."""
        self._process(name).stop()

    def remove(self, name: str) -> None:
        """Stop the process and remove its state folder and its control group."""
        self._process(name).remove()

    def usage(self, name: str) -> Usage | None:
        """See `Executor.usage`: of its control group, or of its tree of processes where there is none."""
        process = self._process(name)
        if not process.is_running():
            return None
        return cgroups.usage(process.read_cgroups()) or process_tree.usage_below(process.read_supervisor_pid())

    def list(self) -> list[str]:
        """Names of all processes that have a state folder."""
        return state_folders.names(self._state_dir)

    def close(self) -> None:
        """Nothing is held open."""


def _poll(fds: Sequence[int], timeout: float) -> list[int]:
    """Those of `fds` that are readable, within `timeout` seconds; without any, just let the time pass."""
    if not fds:
        time.sleep(timeout)
        return []
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return [fd for fd, _ in poll.poll(timeout * 1000)]

"""What a job sees under bubblewrap, as bwrap's options. Values in, a list of words out: nothing is started here.

The root is an empty read-only tmpfs with /usr, the toolchain, a made-up /etc and /proc, all read-only; the attempt's
folder at /workspace, tmpfs on /tmp and /dev/shm. There is no /home, /root, /var, /run, /sys or /srv of the host.
/proc is read-only because a job of an agent that runs as root would otherwise be let into /proc/sys.
"""

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from carrel.executors.base import HIDDEN_IN_PROC, JOB_ENV, JOB_SHM, JOB_TMP, WORKSPACE, ResourceLimits, RunSpec
from carrel.executors.state_folders import write_if_changed
from carrel.executors.supervisor import COMMAND_FD
from carrel.executors.toolchains import Toolchain

SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
NAMESPACES = ("user", "ipc", "pid", "net", "uts", "cgroup")
JOB_ID = 1000  # uid and gid that a job sees when the agent is root

# Of the host's /etc only what programs in /usr cannot start or work without, and nothing that names people or secrets.
ETC_FROM_HOST = ("ld.so.cache", "alternatives", "fonts", "R")

USER_FILES = {
    "passwd": "root:x:0:0:root:/root:/usr/sbin/nologin\njob:x:{uid}:{gid}:job:/tmp:/bin/sh\n",
    "group": "root:x:0:\njob:x:{gid}:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 carrel\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


def job_ids() -> tuple[int, int]:
    """uid and gid inside: the agent's own, so that files in /workspace are the agent's; never 0."""
    return os.getuid() or JOB_ID, os.getgid() or JOB_ID


def write_etc(folder: Path) -> None:
    """The made-up /etc as files in `folder`, to be bound from. Raises OSError (ENOSPC) where they cannot be written."""
    uid, gid = job_ids()
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in USER_FILES.items():
        write_if_changed(folder / name, text.format(uid=uid, gid=gid))


def isolation(nested_userns_off: bool) -> list[str]:
    """Namespaces, ids, no capabilities, a session of its own; dies with its supervisor."""
    uid, gid = job_ids()
    options = [f"--unshare-{name}" for name in NAMESPACES]
    if nested_userns_off:
        options.append("--disable-userns")
    options += ["--uid", str(uid), "--gid", str(gid), "--hostname", "carrel"]
    return [*options, "--new-session", "--die-with-parent", "--cap-drop", "ALL"]


def root_filesystem(etc: Path, tmp_bytes: int) -> list[str]:
    """/usr, /etc, /proc, /dev and the tmpfs folders; `finish` must follow when all other mounts are named."""
    options = ["--ro-bind", "/usr", "/usr"]
    for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"):
        folder = Path(name)
        if folder.is_symlink():
            options += ["--symlink", str(folder.readlink()), name]
        elif folder.is_dir():
            options += ["--ro-bind", name, name]
    for name in USER_FILES:
        options += ["--ro-bind", str(etc / name), f"/etc/{name}"]
    for name in ETC_FROM_HOST:
        options += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    options += ["--proc", "/proc", *_hidden_in_proc(), "--dev", "/dev"]
    for name in (JOB_TMP, JOB_SHM):
        options += ["--perms", "1777", "--size", str(tmp_bytes), "--tmpfs", name]
    return options


def _hidden_in_proc() -> list[str]:
    options = []
    for name in HIDDEN_IN_PROC:
        path = f"/proc/{name}"
        if os.path.isdir(path):  # noqa: PTH112  (asked fifty times for each job)
            options += ["--tmpfs", path, "--remount-ro", path]
        elif os.path.exists(path):  # noqa: PTH110  (the same)
            options += ["--ro-bind", "/dev/null", path]
    return options


def finish() -> list[str]:
    """What makes the root read-only and goes to the working folder, when all is mounted."""
    return ["--remount-ro", "/dev", "--remount-ro", "/proc", "--remount-ro", "/", "--chdir", WORKSPACE]


def binds(spec: RunSpec, toolchain: Toolchain) -> list[str]:
    """The toolchain, the attempt's folder and the spec's mounts, each at its place."""
    options = []
    for folder in _outermost((toolchain.folder, *toolchain.binds)):
        options += ["--ro-bind", str(folder), str(folder)]
    options += ["--bind", str(spec.workspace), WORKSPACE]
    for mount in spec.mounts:
        options += ["--bind" if mount.writable else "--ro-bind", str(mount.source), mount.target]
    return options


def _outermost(folders: Iterable[Path]) -> list[Path]:
    """Without those that lie in /usr or in another of them already."""
    outermost = [Path("/usr")]
    for folder in sorted(set(folders), key=lambda path: len(path.parts)):
        if not any(folder.is_relative_to(outer) for outer in outermost):
            outermost.append(folder)
    return outermost[1:]


def environment(spec: RunSpec, toolchain: Toolchain) -> dict[str, str]:
    """Exactly what the job gets: the least a program needs, the toolchain's, and the spec's over them."""
    path = ":".join((*toolchain.path, *SYSTEM_PATH))
    return {"PATH": path, "HOSTNAME": "carrel", **JOB_ENV, **toolchain.env, **spec.env}


def environment_options(env: Mapping[str, str]) -> list[str]:
    """Options that leave nothing of the environment but `env`."""
    options = ["--clearenv"]
    for key, value in env.items():
        options += ["--setenv", key, value]
    return options


def bwrap_options(spec: RunSpec, toolchain: Toolchain, etc: Path, tmp_bytes: int, nested_userns_off: bool) -> list[str]:
    """All of bwrap's options for one job; they hold the environment's values, so they go through a descriptor."""
    return [
        *isolation(nested_userns_off),
        *environment_options(environment(spec, toolchain)),
        *root_filesystem(etc, tmp_bytes),
        *binds(spec, toolchain),
        *finish(),
    ]


def command(spec: RunSpec, toolchain: Toolchain) -> list[str]:
    """The program and its arguments, in words of the inside."""
    return [*toolchain.entrypoint, *spec.args]


MAX_WORDS = 9000
"""As many words of options and command as bubblewrap takes (its own `MAX_ARGS`)."""
LAUNCH = ("/bin/sh", "-c", f". /proc/self/fd/{COMMAND_FD}", "carrel")
"""What is started in the sandbox, and becomes the job's program. A shell, because it is there in every sandbox, and
because it gives the reasons for which a program cannot be started, and their exit codes 126 and 127, as Docker does."""


def launch_script(command: Sequence[str]) -> bytes:
    """The script that `LAUNCH` reads. As a file it is as long as it likes: only the kernel's limits are left."""
    return f"exec {' '.join(map(_quoted, command))} {COMMAND_FD}<&-\n".encode(errors="surrogateescape")


def job_script(spec: RunSpec, toolchain: Toolchain) -> bytes:
    """The command, or one that says what is missing and ends with 127, as a shell and Docker do."""
    words = command(spec, toolchain)
    if not words:
        return complaint_script("no command given", 127)
    program, *arguments = words
    if "/" in program:
        return launch_script(words)
    path = shutil.which(program, path=environment(spec, toolchain)["PATH"])
    if path is None:
        name = f"{toolchain.name}:{toolchain.version}"
        return complaint_script(f"there is no program {program} in the toolchain {name}", 127)
    # A shell would take a name that begins with a dash for an option.
    return launch_script([path, *arguments] if program.startswith("-") else words)


def complaint_script(text: str, exit_code: int) -> bytes:
    """One that says `text` and ends."""
    return f"echo {_quoted('carrel: ' + text)} >&2; exit {exit_code}\n".encode(errors="surrogateescape")


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


@dataclass(frozen=True, slots=True)
class LimitEnforcement:
    """By what a limit is enforced: the word of `Capabilities`, and a phrase for the log."""

    kind: str
    phrase: str


def limits_note(limits: ResourceLimits, enforcement: Mapping[str, LimitEnforcement]) -> str:
    """One sentence for the log: what was asked for, and by what it is enforced."""
    requested = {
        "memory": f"{limits.memory / (1 << 30):.2f} GB" if limits.memory else None,
        "cpus": f"{limits.cpus:g}" if limits.cpus else None,
        "pids": str(limits.pids) if limits.pids else None,
    }
    parts = [f"{name} {value} {enforcement[name].phrase}" for name, value in requested.items() if value]
    return "Limits: " + (", ".join(parts) if parts else "none asked for")

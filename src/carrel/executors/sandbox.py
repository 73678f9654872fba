"""What a job sees under bubblewrap, as bwrap's options. Values in, a list of words out: nothing is started here.

The root is an empty read-only tmpfs with /usr, the toolchain, a made-up /etc and /proc, all read-only; the attempt's
folder at /workspace, tmpfs on /tmp and /dev/shm. There is no /home, /root, /var, /run, /sys or /srv of the host.
/proc is read-only because a job of an agent that runs as root would otherwise be let into /proc/sys.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from carrel.executors.attempts import keep_file
from carrel.executors.base import HIDDEN_IN_PROC, JOB_ENV, JOB_SHM, JOB_TMP, WORKSPACE, Limits, RunSpec
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
        keep_file(folder / name, text.format(uid=uid, gid=gid))


def isolation(nested_userns_off: bool) -> list[str]:
    """Namespaces, ids, no capabilities, a session of its own; dies with its supervisor."""
    uid, gid = job_ids()
    words = [f"--unshare-{name}" for name in NAMESPACES]
    if nested_userns_off:
        words.append("--disable-userns")
    words += ["--uid", str(uid), "--gid", str(gid), "--hostname", "carrel"]
    return [*words, "--new-session", "--die-with-parent", "--cap-drop", "ALL"]


def root_filesystem(etc: Path, tmp_bytes: int) -> list[str]:
    """/usr, /etc, /proc, /dev and the tmpfs folders; `finish` must follow when all other mounts are named."""
    words = ["--ro-bind", "/usr", "/usr"]
    for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"):
        place = Path(name)
        if place.is_symlink():
            words += ["--symlink", str(place.readlink()), name]
        elif place.is_dir():
            words += ["--ro-bind", name, name]
    for name in USER_FILES:
        words += ["--ro-bind", str(etc / name), f"/etc/{name}"]
    for name in ETC_FROM_HOST:
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    words += ["--proc", "/proc", *_hidden(), "--dev", "/dev"]
    for name in (JOB_TMP, JOB_SHM):
        words += ["--perms", "1777", "--size", str(tmp_bytes), "--tmpfs", name]
    return words


def _hidden() -> list[str]:
    words = []
    for name in HIDDEN_IN_PROC:
        place = f"/proc/{name}"
        if os.path.isdir(place):  # noqa: PTH112  (asked fifty times for each job)
            words += ["--tmpfs", place, "--remount-ro", place]
        elif os.path.exists(place):  # noqa: PTH110  (the same)
            words += ["--ro-bind", "/dev/null", place]
    return words


def finish() -> list[str]:
    return ["--remount-ro", "/dev", "--remount-ro", "/proc", "--remount-ro", "/", "--chdir", WORKSPACE]


def binds(spec: RunSpec, toolchain: Toolchain) -> list[str]:
    words = []
    for folder in _outermost((toolchain.folder, *toolchain.binds)):
        words += ["--ro-bind", str(folder), str(folder)]
    words += ["--bind", str(spec.workspace), WORKSPACE]
    for mount in spec.mounts:
        words += ["--bind" if mount.writable else "--ro-bind", str(mount.source), mount.target]
    return words


def _outermost(places: Iterable[Path]) -> list[Path]:
    """Without those that /usr or another of them holds already."""
    held = [Path("/usr")]
    for place in sorted(set(places), key=lambda path: len(path.parts)):
        if not any(place == other or other in place.parents for other in held):
            held.append(place)
    return held[1:]


def environment(spec: RunSpec, toolchain: Toolchain) -> dict[str, str]:
    """Exactly what the job gets: the least a program needs, the toolchain's, and the spec's over them."""
    path = ":".join((*toolchain.path, *SYSTEM_PATH))
    return {"PATH": path, "HOSTNAME": "carrel", **JOB_ENV, **toolchain.env, **spec.env}


def environment_words(env: Mapping[str, str]) -> list[str]:
    words = ["--clearenv"]
    for key, value in env.items():
        words += ["--setenv", key, value]
    return words


def bwrap_options(spec: RunSpec, toolchain: Toolchain, etc: Path, tmp_bytes: int, nested_userns_off: bool) -> list[str]:
    """All of bwrap's options for one job; they hold the environment's values, so they go through a descriptor."""
    return [
        *isolation(nested_userns_off),
        *environment_words(environment(spec, toolchain)),
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


def launch_script(words: Sequence[str]) -> bytes:
    """The script that `LAUNCH` reads. As a file it is as long as it likes: only the kernel's limits are left."""
    return f"exec {' '.join(map(_quoted, words))} {COMMAND_FD}<&-\n".encode(errors="surrogateescape")


def complaint_script(text: str, exit_code: int) -> bytes:
    """One that says `text` and ends."""
    return f"echo {_quoted('carrel: ' + text)} >&2; exit {exit_code}\n".encode(errors="surrogateescape")


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


@dataclass(frozen=True, slots=True)
class Held:
    """How a limit is held: the word of `Capabilities`, and words for the log."""

    kind: str
    words: str


def limits_note(limits: Limits, how: Mapping[str, Held]) -> str:
    """One sentence for the log: what was asked for, and by what it is held."""
    wanted = {
        "memory": f"{limits.memory / (1 << 30):.2f} GB" if limits.memory else None,
        "cpus": f"{limits.cpus:g}" if limits.cpus else None,
        "pids": str(limits.pids) if limits.pids else None,
    }
    parts = [f"{name} {value} {how[name].words}" for name, value in wanted.items() if value]
    return "Limits: " + (", ".join(parts) if parts else "none asked for")

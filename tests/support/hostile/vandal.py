"""What a hostile job runs: it carries out `recipe.json`, step by step, and goes on whatever a step answers.

Paths in the recipe are texts with surrogate escapes, so that they can be any bytes. Python's standard library only.
"""

import json
import os
import signal
import socket
import sys
from collections.abc import Callable

CHUNK = 1 << 20


def write(path: str, data: bytes, times: int = 1) -> None:
    with open(os.fsencode(path), "wb") as stream:
        whole, rest = divmod(times, max(1, CHUNK // max(1, len(data))))
        for _ in range(whole):
            stream.write(data * (CHUNK // max(1, len(data))))
        stream.write(data * rest)


def sparse(path: str, size: int) -> None:
    with open(os.fsencode(path), "wb") as stream:
        stream.truncate(size)


def deep(path: str, levels: int) -> None:
    """`path/d/d/d/...` with a file at its end; step by step, because the whole path may be longer than a call takes."""
    before = os.open(".", os.O_RDONLY)
    os.makedirs(path, exist_ok=True)
    os.chdir(path)
    for _ in range(levels):
        os.mkdir("d")
        os.chdir("d")
    write("end.csv", b"a,b\n1,2\n")
    os.fchdir(before)


def many(folder: str, count: int, suffix: str) -> None:
    os.makedirs(folder, exist_ok=True)
    for number in range(count):
        os.close(os.open(f"{folder}/{number:06}{suffix}", os.O_CREAT | os.O_WRONLY))


def unix_socket(path: str) -> None:
    socket.socket(socket.AF_UNIX).bind(path)


def log(data: bytes, times: int) -> None:
    for _ in range(times):
        os.write(1, data)


def daemon() -> None:
    """A process that outlives its parent, holds the log open, and never stops changing a file."""
    if os.fork() == 0:
        os.setsid()
        number = 0
        while True:
            number += 1
            write("output/changing.csv", b"a,b\n%d,2\n" % number, number % 1000)


def swap(path: str) -> None:
    """A file that turns into a link and back while the job lives."""
    if os.fork() == 0:
        while True:
            os.symlink("/etc/passwd", f"{path}.new")
            os.replace(f"{path}.new", path)
            write(f"{path}.new", b"a,b\n1,2\n")
            os.replace(f"{path}.new", path)


STEPS: dict[str, Callable[..., object]] = {
    "write": lambda path, text, times=1: write(path, text.encode("latin-1"), times),
    "sparse": sparse,
    "deep": deep,
    "many": many,
    "mkdir": lambda path: os.makedirs(os.fsencode(path), exist_ok=True),
    "symlink": lambda target, path: os.symlink(target, os.fsencode(path)),
    "link": lambda target, path: os.link(os.fsencode(target), os.fsencode(path)),
    "fifo": lambda path: os.mkfifo(os.fsencode(path)),
    "device": lambda path: os.mknod(os.fsencode(path), 0o20666, os.makedev(1, 3)),
    "socket": unix_socket,
    "chmod": lambda path, mode: os.chmod(os.fsencode(path), mode),
    "rename": lambda source, path: os.rename(source, path),
    "remove": lambda path: os.remove(path),
    "times": lambda path, seconds: os.utime(path, (seconds, seconds)),
    "log": lambda text, times=1: log(text.encode("latin-1"), times),
    "daemon": daemon,
    "swap": swap,
    "close": lambda: os.close(1),
    "exit": lambda code: os._exit(code),
    "kill": lambda number: os.kill(os.getpid(), number or signal.SIGTERM),
}


def main() -> None:
    with open("recipe.json") as stream:
        recipe = json.load(stream)
    os.makedirs("output", exist_ok=True)
    for name, *arguments in recipe:
        try:
            STEPS[name](*arguments)
        except Exception as error:
            print(name, type(error).__name__, file=sys.stderr)


if __name__ == "__main__":
    main()

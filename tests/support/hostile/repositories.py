"""Repositories with trees that no folder on a disk would have, written object by object."""

import random
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.support.agents import ENV

DIRECTORY, FILE, EXECUTABLE, LINK, MODULE = "40000", "100644", "100755", "120000", "160000"


@dataclass(frozen=True)
class Objects:
    """Writes objects of the bare repository `folder`, without git's own checks of what a tree may hold."""

    folder: Path

    def git(self, *words: str, text: bytes = b"") -> str:
        command = ["git", f"--git-dir={self.folder}", *words]
        done = subprocess.run(command, env=ENV, input=text, check=True, capture_output=True)
        return done.stdout.decode().strip()

    def init(self) -> None:
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(self.folder)], env=ENV, check=True)

    def blob(self, data: bytes) -> str:
        return self.git("hash-object", "-w", "--stdin", text=data)

    def zeros(self, mebibytes: int) -> str:
        command = ["git", f"--git-dir={self.folder}", "-c", "core.bigFileThreshold=1m", "hash-object", "-w", "--stdin"]
        with subprocess.Popen(command, env=ENV, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
            assert writer.stdin is not None
            assert writer.stdout is not None
            for _ in range(mebibytes):
                writer.stdin.write(bytes(1 << 20))
            writer.stdin.close()
            return writer.stdout.read().decode().strip()

    def tree(self, entries: Iterable[tuple[str, str, str]]) -> str:
        """(mode, name with surrogate escapes, object) each, in this order."""
        raw = b"".join(
            f"{mode} ".encode() + name.encode("utf-8", "surrogateescape") + b"\0" + bytes.fromhex(object_id)
            for mode, name, object_id in entries
        )
        return self.git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", text=raw)

    def commit(self, tree: str) -> str:
        commit = self.git("commit-tree", tree, "-m", "x")
        self.git("update-ref", "refs/heads/main", commit)
        return commit


def hostile_tree(rng: random.Random, objects: Objects, study: list[tuple[str, str, str]]) -> str:
    """`study`: the entries that make it run, so that the harm is met in the agent and not before."""
    small = objects.blob(b"x")
    kind = rng.randrange(9)
    extra: list[tuple[str, str, str]] = []
    if kind == 0:  # a tree that is small in git and endless once it is listed
        inner = objects.tree([(FILE, "f", small)])
        for _ in range(rng.choice((3, 10))):
            inner = objects.tree([(DIRECTORY, f"d{n}", inner) for n in range(10)])
        extra = [(DIRECTORY, "bomb", inner)]
    elif kind == 1:
        extra = [(LINK, "link", objects.zeros(rng.choice((1, 64))))]
    elif kind == 2:
        target = objects.blob(
            rng.choice((b"project.yaml", b"loop", b"../../etc/passwd", b"/etc/passwd", b"\xff\0x", b""))
        )
        extra = [(LINK, f"loop{n:05}", target) for n in range(rng.choice((1, 5_000)))]
    elif kind == 3:
        names = (
            "..",
            ".",
            ".git",
            ".GIT",
            "git~1",
            ".git ",
            "a/b",
            "\\",
            "",
            "a" * 256,
            "\udcff",
            "\n",
            "output",
            "metadata",
            "-",
        )
        extra = [(rng.choice((FILE, DIRECTORY, LINK)), rng.choice(names), small)]
    elif kind == 4:
        extra = [
            (MODULE, "module", "ab" * 20),
            (FILE, ".gitmodules", objects.blob(b'[submodule "x"]\npath=module\nurl=/etc\n')),
        ]
    elif kind == 5:
        inner = objects.tree([(FILE, "f", small)])
        for _ in range(rng.choice((60, 600))):
            inner = objects.tree([(DIRECTORY, "d", inner)])
        extra = [(DIRECTORY, "deep", inner)]
    elif kind == 6:
        extra = [(FILE, f"f{n:06}", small) for n in range(rng.choice((3_000, 60_000)))]
    elif kind == 7:
        extra = [(FILE, "A", small), (FILE, "a", small), (FILE, "a", objects.blob(b"y")), (DIRECTORY, "a", small)]
    else:
        big = objects.zeros(rng.choice((17, 100)))
        extra = [(FILE, "big.bin", big), (EXECUTABLE, "big", big)]
    return objects.tree([*study, *extra] if rng.random() < 0.5 else [*extra, *study])

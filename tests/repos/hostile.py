"""Trees that no ordinary `git add` makes, written object by object."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

IDENTITY = {f"GIT_{role}_{what}": "t@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
Entry = tuple[str, str, str | bytes]
"""Mode, id, name."""


@dataclass(frozen=True)
class Bare:
    """A bare repository."""

    path: Path

    @classmethod
    def at(cls, path: Path) -> "Bare":
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)
        return cls(path)

    @property
    def url(self) -> str:
        return str(self.path)

    def git(self, *args: str, given: bytes = b"") -> str:
        command = ["git", f"--git-dir={self.path}", *args]
        done = subprocess.run(command, input=given, env={**os.environ, **IDENTITY}, check=True, capture_output=True)
        return done.stdout.decode().strip()

    def blob(self, content: bytes) -> str:
        return self.git("hash-object", "-w", "--stdin", given=content)

    def large_blob(self, size: int) -> str:
        """As many zeros, in little memory."""
        command = ["git", f"--git-dir={self.path}", "-c", "core.bigFileThreshold=1m", "hash-object", "-w", "--stdin"]
        zeros = subprocess.Popen(["head", "-c", str(size), "/dev/zero"], stdout=subprocess.PIPE)
        done = subprocess.run(command, stdin=zeros.stdout, check=True, capture_output=True)
        assert zeros.stdout is not None
        zeros.stdout.close()
        zeros.wait()
        return done.stdout.decode().strip()

    def tree(self, entries: list[Entry]) -> str:
        """A tree object of just these entries, in this order, whatever git thinks of them."""
        data = b"".join(
            mode.lstrip("0").encode()
            + b" "
            + (name.encode() if isinstance(name, str) else name)
            + b"\0"
            + bytes.fromhex(oid)
            for mode, oid, name in entries
        )
        return self.git("hash-object", "-t", "tree", "--literally", "-w", "--stdin", given=data)

    def commit(self, tree: str) -> str:
        made = self.git("commit-tree", tree, "-m", "x")
        self.git("update-ref", "refs/heads/main", made)
        return made

"""Make a set of files visible together, or none of them, whatever happens in between.

Everything is first written beside its destination and fsynced (`stage`); then a journal that lists every move is
written (the commit); then the moves are made. A restart without a journal throws the stage away; with one it
finishes the moves. A full disk can only be met before the commit, when nothing visible has changed yet.
"""

from pathlib import Path


class Stage:
    """Files prepared for one publication, below `folder` and, for other file systems, below `others`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add_bytes(self, data: bytes, target: Path) -> None:
        """Stage a small file with these contents for `target`."""
        raise NotImplementedError

    def commit(self) -> None:
        """Make everything visible. After this returns, or raises, `recover` finishes what is left."""
        raise NotImplementedError


def recover(folder: Path) -> bool:
    """Finish or undo what a killed process left of a stage. True when it was committed (and now is finished)."""
    raise NotImplementedError

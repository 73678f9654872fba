"""What a killed or failed publication left: finish it where it was committed, else throw it away or take it back."""

import contextlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from carrel.outputs.journal import ASIDE, STAGING, FileChange, Journal, JournalDamaged

logger = logging.getLogger(__name__)


def settle(name: str, roots: Sequence[Path]) -> bool:
    """Finish one publication if it was committed, else throw it away; whether its changes are made now.

    Never raises for what is in a journal, or for what cannot be done about it: then all is taken back, and where not
    even that can be done, the stage is set aside for a person to look at.
    """
    journal = Journal(name, roots)
    try:
        commit = journal.read()
    except JournalDamaged as damage:
        _set_aside(journal, f"its journal is damaged ({damage})")
        return False
    if commit is None:
        journal.discard()
        return False
    return _finish_or_undo(journal, commit.changes, is_undoing=commit.is_undoing)


def _finish_or_undo(journal: Journal, changes: Sequence[FileChange], *, is_undoing: bool) -> bool:
    complete = journal.is_complete()
    if not is_undoing:
        try:
            journal.apply(changes)
            journal.finish(changes)
            return True
        except OSError as error:
            if complete:  # others may have built on it since
                _set_aside(journal, f"it was published, and not all of it is on disk ({error})")
                return True
            logger.error("%s: its publication cannot be finished, and is taken back: %s", journal.name, error)
    try:
        journal.undo(changes)
        journal.discard()
    except OSError as error:
        _set_aside(journal, f"it can neither be finished nor taken back ({error})")
    return False


def take_back(journal: Journal, changes: Sequence[FileChange], cause: OSError) -> None:
    """Undo all after a change that could not be made. What cannot be undone now is tried again at the next start."""
    logger.error("%s: could not be published, and is taken back: %s", journal.name, cause)
    try:
        journal.undo(changes)
    except OSError as error:
        logger.error("%s: cannot be taken back now: %s", journal.name, error)
        return
    journal.discard()


def _set_aside(journal: Journal, why: str) -> None:
    moved = journal.set_aside()
    logger.error("%s: %s; its stage is kept in %s", journal.name, why, moved or journal.home)


def recover(roots: Sequence[Path]) -> list[str]:
    """Finish, take back or throw away what killed processes left below `roots`; the names of those finished.

    To be called while nobody publishes: in the order of their commits, so that the last one wins again. Never raises
    for what it finds: one bad publication is that one's fault.
    """
    names = sorted({folder.name for root in roots for folder in stage_folders(root)})
    finished = []
    for name in sorted(names, key=lambda name: _committed_at(name, roots)):
        try:
            if settle(name, roots):
                finished.append(name)
        except Exception:
            logger.exception("%s: what was left of its publication cannot be looked at", name)
    return finished


def _committed_at(name: str, roots: Sequence[Path]) -> int:
    """Nanoseconds since 1970; 0 where there is no journal that says it."""
    with contextlib.suppress(JournalDamaged, OSError):
        commit = Journal(name, roots).read()
        return commit.committed_ns if commit else 0
    return 0


def stage_folders(root: Path) -> list[Path]:
    """The stages below `root`; what is no folder, or was set aside, is none."""
    try:
        with os.scandir(root / STAGING) as entries:
            return [Path(e.path) for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")]
    except OSError:
        return []


def set_aside_folders(root: Path) -> list[Path]:
    """Stages that could neither be finished nor taken back."""
    return [path for path in (root / STAGING).glob(f"{ASIDE}*") if path.is_dir()]

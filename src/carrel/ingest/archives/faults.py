"""Raising what `carrel.ingest.values.Fault` says."""

from carrel.ingest.values import Fault


class Rejected(Exception):
    """Something was not taken; `fault` says why, and never quotes the data."""

    def __init__(self, stage: str, keyword: str, message: str, pointer: str = ""):
        super().__init__(message)
        self.fault = Fault(stage, keyword, message, pointer)


class ArchiveRejected(Rejected):
    """Nothing of the archive can be taken."""


class FileRejected(Rejected):
    """One file of the archive cannot be taken; the others can."""


MACHINERY = (OSError, MemoryError)
"""What says nothing of the archive that was read meanwhile: another attempt, or another machine, may fare better."""


def unforeseen(error: Exception) -> Fault:
    """The fault for whatever else is raised while one archive or file is worked on: no other waits for it.

    The error's own words may quote the data, so only its type is told.
    """
    message = f"it could not be worked on ({type(error).__name__}), which is a fault of Carrel: report it, then replay"
    return Fault("archive", "unforeseen", message)


def has_utf8(text: str) -> bool:
    """Whether the text has a form in UTF-8, without which nothing can be stored, compared or printed: half of a
    surrogate pair, which JSON can spell and a name on disk can hold, has none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

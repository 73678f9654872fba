"""What goes wrong outside Carrel (disks, libraries, the keyboard), in a sentence: the place and the next step.

Only what is known to name no data is quoted: names of files, and the operating system's words.
"""

import errno
import sys

from carrel.units.parts import how_to_install

_SAFE = "Nothing is lost: run it again when that is repaired."
_NEXT = {
    errno.ENOSPC: f"the disk is full: make room. {_SAFE}",
    errno.EDQUOT: f"the disk quota is used up: make room. {_SAFE}",
    errno.EROFS: f"the disk can only be read: mount it for writing, or name another place. {_SAFE}",
    errno.EACCES: "permission denied: look whether this user may do that.",
    errno.EPERM: "not permitted: look whether this user may do that.",
    errno.ENOTDIR: "a file is there where a folder should be: name another place.",
    errno.EISDIR: "a folder is there where a file should be: name another place.",
    errno.EEXIST: "a file is there where a folder should be: name another place.",
    errno.ENOENT: "it is not there: look whether its name is right.",
    errno.EIO: f"the disk does not answer: look at its health. {_SAFE}",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n).",
}
_TABLES = "a table of the warehouse cannot be read or written"
_RECONCILE = "`carrel ingest reconcile SOURCE` says which file is missing or damaged; restore it from a backup"


def in_words(error: BaseException) -> str | None:
    """A sentence for people; None when this is a fault of ours, which a traceback should show."""
    if isinstance(error, ModuleNotFoundError):
        return not_installed(error)
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory: use fewer --workers, or a larger machine. Nothing is lost: run it again."
    if isinstance(error, _library_errors()):
        return f"{_TABLES}{_of_disk(str(error))} ({type(error).__name__}): {_RECONCILE}"
    return None


def not_installed(error: ModuleNotFoundError) -> str:
    """What to do about a library that is missing; raises `error` again when it is a part of Carrel."""
    name = error.name or ""
    if not name or name.partition(".")[0] == "carrel":
        raise error
    return f"{name} is not there: {how_to_install('ingest')}"


def _library_errors() -> tuple[type[BaseException], ...]:
    """Those of Delta and Arrow, if they were loaded at all."""
    known = (("deltalake.exceptions", "DeltaError"), ("pyarrow", "ArrowException"))
    return tuple(getattr(sys.modules[module], name) for module, name in known if module in sys.modules)


def _of_system(error: OSError) -> str:
    place = error.filename2 or error.filename
    number = error.errno or _number_in(str(error))
    if number is None and place is None:  # Arrow's and Delta's own: their words may quote anything
        return f"{_TABLES} ({type(error).__name__}): {_RECONCILE}"
    if number == errno.ENOENT and _text(place).endswith(".parquet"):
        return f"{_text(place)} of the warehouse is not there: {_RECONCILE}"
    step = _NEXT.get(number or 0) or f"{(error.strerror or type(error).__name__).lower()}."
    return f"{_text(place)}: {step}" if place else step


def _text(place: object) -> str:
    return place.decode(errors="replace") if isinstance(place, bytes) else str(place)


def _number_in(text: str) -> int | None:
    """Libraries say it in their own words."""
    return next((number for words, number in _WORDS.items() if words in text), None)


_WORDS = {
    "No space left on device": errno.ENOSPC,
    "Read-only file system": errno.EROFS,
    "Permission denied": errno.EACCES,
    "Disk quota exceeded": errno.EDQUOT,
}


def _of_disk(text: str) -> str:
    number = _number_in(text)
    return f": {_NEXT[number].partition('.')[0]}" if number else ""

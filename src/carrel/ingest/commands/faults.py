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


def explain_error(error: BaseException) -> str | None:
    """Say it in a sentence for people; None when this is a fault of ours, which a traceback should show."""
    if isinstance(error, ModuleNotFoundError):
        return explain_missing_library(error)
    if isinstance(error, OSError):
        return _explain_os_error(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory: use fewer --workers, or a larger machine. Nothing is lost: run it again."
    # Those of Delta and Arrow, if they were loaded at all.
    bases = (("deltalake.exceptions", "DeltaError"), ("pyarrow", "ArrowException"))
    library_errors = tuple(getattr(sys.modules[module], name) for module, name in bases if module in sys.modules)
    if isinstance(error, library_errors):
        number = _number_in(str(error))
        of_disk = f": {_NEXT[number].partition('.')[0]}" if number else ""
        return f"{_TABLES}{of_disk} ({type(error).__name__}): {_RECONCILE}"
    return None


def explain_missing_library(error: ModuleNotFoundError) -> str:
    """Say what to do about a library that is missing; raises `error` again when it is a part of Carrel."""
    name = error.name or ""
    if not name or name.partition(".")[0] == "carrel":
        raise error
    return f"{name} is not there: {how_to_install('ingest')}"


def _explain_os_error(error: OSError) -> str:
    path = error.filename2 or error.filename
    number = error.errno or _number_in(str(error))
    if number is None and path is None:  # Arrow's and Delta's own: their words may quote anything
        return f"{_TABLES} ({type(error).__name__}): {_RECONCILE}"
    if number == errno.ENOENT and _text(path).endswith(".parquet"):
        return f"{_text(path)} of the warehouse is not there: {_RECONCILE}"
    step = _NEXT.get(number or 0) or f"{(error.strerror or type(error).__name__).lower()}."
    return f"{_text(path)}: {step}" if path else step


def _text(path: object) -> str:
    return path.decode(errors="replace") if isinstance(path, bytes) else str(path)


def _number_in(text: str) -> int | None:
    """The error's number, of libraries that say it in their own words."""
    return next((number for phrase, number in _PHRASES.items() if phrase in text), None)


_PHRASES = {
    "No space left on device": errno.ENOSPC,
    "Read-only file system": errno.EROFS,
    "Permission denied": errno.EACCES,
    "Disk quota exceeded": errno.EDQUOT,
}

"""The names of columns that may identify people here: Carrel's list, and what the backend's policy adds to it."""

from pathlib import Path

from carrel.disclosure.identifier_names import IDENTIFIER_NAMES, names_in
from carrel.units.limits import MAX_IDENTIFIER_LIST_BYTES


def read_identifier_names(listed: str = "", file: Path | None = None) -> tuple[str, ...]:
    """All names. `listed` by commas; `file` has one a line, with comments from `#` on.

    Raises ValueError, with a sentence, for a file that cannot be read as such a list.
    """
    return tuple(dict.fromkeys((*IDENTIFIER_NAMES, *names_in(listed), *names_in(_read(file) if file else ""))))


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_IDENTIFIER_LIST_BYTES + 1)
        if len(data) > MAX_IDENTIFIER_LIST_BYTES:
            raise ValueError(f"{file} is longer than {MAX_IDENTIFIER_LIST_BYTES} bytes: list one name a line")
        return data.decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not UTF-8 text: list one name a line") from None

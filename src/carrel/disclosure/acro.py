"""What ACRO, or SACRO, says of the outputs that it stands beside: `results.json`, checked against the files. Pure.

Source: `results.json` as the package `acro` 1.0.2 writes it, and SACRO-Viewer's manner of finding it. Names of checks,
statuses and types are an open vocabulary: earlier versions have others (`threshold`, `p-ratio`, `nk-rule`), and what is
not known is shown as it is.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

from carrel.disclosure.jsons import Json, NoStrings
from carrel.disclosure.records import records_of
from carrel.disclosure.texts import Unreadable, decoded
from carrel.units.limits import (
    MAX_ACRO_CELLS,
    MAX_ACRO_FILES,
    MAX_ACRO_OUTPUTS,
    MAX_ACRO_TEXT,
    MAX_LEVEL4_PARTS,
    MAX_TABLE_JSON,
)

ACRO_NAMES = ("results.json", "outputs.json")
"""Names of the file, in the order in which it is looked for in a folder; any other JSON of its form is one too."""
CHECKSUM_FOLDER = "checksums"
"""Beside it: `<file>.txt` for each file, with its SHA-256."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AcroFile:
    """One file of an output. `checks`: how many cells each check flags; `cells`: which, as rows and columns of data."""

    name: str
    checks: Mapping[str, int] = field(default_factory=dict)
    cells: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AcroOutput:
    """One output. `shape`: rows and columns of its data, as far as its outcome says."""

    uid: str
    status: str
    kind: str
    """`table`, `regression`, `survival plot`, `histogram`, `custom`, ..."""
    files: tuple[AcroFile, ...]
    properties: Mapping[str, str] = field(default_factory=dict)
    check_statuses: Mapping[str, str] = field(default_factory=dict)
    shape: tuple[int, int] = (0, 0)
    command: str = ""
    summary: str = ""
    timestamp: str = ""
    comments: tuple[str, ...] = ()
    exception: str = ""
    """Why the researcher asks for its release although a check fails."""


@dataclass(frozen=True, slots=True)
class AcroResults:
    """All of one file."""

    version: str
    outputs: tuple[AcroOutput, ...]

    def outputs_of(self, name: str) -> tuple[AcroOutput, ...]:
        """The outputs that a file of this name belongs to."""
        return tuple(output for output in self.outputs if any(file.name == name for file in output.files))


def read_acro_results(data: bytes) -> AcroResults:
    """Read the bytes of a `results.json`. Raises Unreadable for what is none, or beyond a bound."""
    text = "".join(decoded([data]))
    if len(text) > MAX_TABLE_JSON:
        raise Unreadable(f"it is longer than {MAX_TABLE_JSON:,} characters")
    checked = Json(NoStrings(), MAX_LEVEL4_PARTS)
    checked.feed(text)
    checked.close()
    document = json.loads(text)
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, dict) or "version" not in document:
        raise Unreadable("it is not what ACRO writes: it has no version and results")
    if len(results) > MAX_ACRO_OUTPUTS:
        raise Unreadable(f"it has more than {MAX_ACRO_OUTPUTS:,} outputs")
    outputs = tuple(_output(str(uid), result) for uid, result in results.items() if isinstance(result, dict))
    files = [file for output in outputs for file in output.files]
    if len(files) > MAX_ACRO_FILES:
        raise Unreadable(f"it has more than {MAX_ACRO_FILES:,} files")
    if sum(len(cells) for file in files for cells in file.cells.values()) > MAX_ACRO_CELLS:
        raise Unreadable(f"it flags more than {MAX_ACRO_CELLS:,} cells")
    return AcroResults(_text(document["version"]), outputs)


def _output(uid: str, result: Mapping[str, Any]) -> AcroOutput:
    outcome, comments, fair = (result.get(name) for name in ("outcome", "comments", "fair"))
    listed = result.get("files", result.get("output"))
    columns = outcome.values() if isinstance(outcome, dict) else ()
    rows = max((len(column) for column in columns if isinstance(column, dict | list)), default=0)
    return AcroOutput(
        uid=_text(result.get("uid") or uid),
        status=_text(result.get("status")),
        kind=_text(result.get("type")),
        files=tuple(map(_file, listed)) if isinstance(listed, list) else (),
        properties=_texts(result.get("properties")),
        check_statuses=_texts(fair.get("check_status") if isinstance(fair, dict) else None),
        shape=(rows, len(columns)),
        command=_text(result.get("command")),
        summary=_text(result.get("summary")),
        timestamp=_text(result.get("timestamp")),
        comments=tuple(map(_text, comments)) if isinstance(comments, list) else (),
        exception=_text(result.get("exception")),
    )


def _file(listed: Any) -> AcroFile:
    """A file with its checks; earlier versions list its name alone. What a check says in another form is left out."""
    if not isinstance(listed, dict):
        return AcroFile(name=_text(listed))
    sdc = dict(_items(listed.get("sdc")))
    checks = {_text(check): int(count) for check, count in _items(sdc.get("summary")) if isinstance(count, int)}
    cells = {}
    for check, places in _items(sdc.get("cells")):
        pairs = [pair for pair in places if isinstance(pair, list)] if isinstance(places, list) else []
        if numbers := [(p[0], p[1]) for p in pairs if len(p) == 2 and all(type(n) is int and n >= 0 for n in p)]:
            cells[_text(check)] = tuple(numbers)
    return AcroFile(name=_text(listed.get("name")), checks=checks, cells=cells)


def _items(value: Any) -> Sequence[tuple[Any, Any]]:
    return tuple(value.items()) if isinstance(value, dict) else ()


def _texts(value: Any) -> dict[str, str]:
    return {_text(key): _text(entry) for key, entry in _items(value)}


def _text(value: Any) -> str:
    return "" if value is None else str(value)[:MAX_ACRO_TEXT]


class ChecksumState(StrEnum):
    """Whether a file is still the one that ACRO wrote."""

    MATCHES = "matches"
    DIFFERS = "differs"
    NO_CHECKSUM = "no checksum"
    NO_FILE = "not here"


def verify_checksums(
    results: AcroResults, files: Mapping[str, bytes], checksums: Mapping[str, bytes]
) -> dict[str, ChecksumState]:
    """Hold the bytes of each file that the results name against its checksum.

    `files` by the names in the results; `checksums`: the bytes of each `checksums/<name>.txt`, by `<name>`.
    """
    states = {}
    for name in dict.fromkeys(file.name for output in results.outputs for file in output.files):
        written = checksums.get(name, b"")[:200].decode("ascii", "replace").strip().lower()
        if name not in files:
            states[name] = ChecksumState.NO_FILE
        elif not _SHA256.fullmatch(written):
            states[name] = ChecksumState.NO_CHECKSUM
        else:
            is_same = hashlib.sha256(files[name]).hexdigest() == written
            states[name] = ChecksumState.MATCHES if is_same else ChecksumState.DIFFERS
    return states


@dataclass(frozen=True, slots=True)
class FlaggedCell:
    """A cell of a CSV file by its line and the number of its column, both from 1, and the checks that flag it."""

    line: int
    column_number: int
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FlaggedCells:
    """`outside`: how many flagged cells the file does not have: it is not the one that was checked."""

    cells: tuple[FlaggedCell, ...]
    outside: int = 0


def flagged_cells(output: AcroOutput, name: str, text: str) -> FlaggedCells:
    """Where the flagged cells of the file of this name stand in its text. Raises Unreadable.

    ACRO counts rows and columns of the data, from 0; above and beside it are as many headers and labels as the
    data has levels of them. How large the data is says the outcome; without one, it has one header and one label.
    """
    flagged: dict[tuple[int, int], list[str]] = {}
    for file in output.files:
        if file.name == name:
            for check, places in file.cells.items():
                for place in places:
                    flagged.setdefault(place, []).append(check)
    lines = [(line, len(cells)) for line, cells in records_of([text]) if cells]
    width = max((length for _, length in lines), default=0)
    rows, columns = output.shape
    above = max(1, len(lines) - rows) if rows else 1
    beside = max(1, width - columns) if columns else 1
    cells = [
        FlaggedCell(lines[above + row][0], beside + column + 1, tuple(checks))
        for (row, column), checks in sorted(flagged.items())
        if above + row < len(lines) and beside + column < width
    ]
    return FlaggedCells(tuple(cells), len(flagged) - len(cells))


def is_acro_name(path: str) -> bool:
    """Whether a file of this name may be ACRO's results, by its name alone."""
    return PurePosixPath(path).name.lower() in ACRO_NAMES

"""What ACRO's `results.json` beside a file of a request says of it: its bytes verified, its cells as marks.

The results are taken from the request itself, or else from what the workspace lists in the same folder; either way
they speak of a file only as far as its checksum is that of the bytes that would leave.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import BinaryIO

from carrel.disclosure.acro import (
    ACRO_NAMES,
    CHECKSUM_FOLDER,
    AcroOutput,
    AcroResults,
    ChecksumState,
    flagged_cells,
    is_acro_name,
    read_acro_results,
    verify_checksums,
)
from carrel.disclosure.tables import header_of
from carrel.disclosure.texts import Unreadable, decoded
from carrel.review import copies
from carrel.review.models import RequestFile
from carrel.review.queries.contents import RequestContents
from carrel.review.shown.tables import CellPlace
from carrel.review.workspaces import ListedWorkspace, WorkspaceUnreadable, open_listed, read_workspace
from carrel.units.limits import MAX_SHOWN_BYTES, MAX_TABLE_JSON

MAX_CHECKSUM_BYTES = 200
"""Of a file with one checksum."""
_Opened = Callable[[], AbstractContextManager[BinaryIO]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcroVerdict:
    """What ACRO says of one file. `path`: of its results; `unchecked`: why they say nothing of it, "" where they do.

    `marks`: the flagged cells with ACRO's words; `outside`: how many of them the file does not have.
    """

    path: str
    unchecked: str = ""
    version: str = ""
    outputs: tuple[AcroOutput, ...] = ()
    checks: tuple[tuple[str, int], ...] = ()
    marks: dict[CellPlace, str] = field(default_factory=dict)
    outside: int = 0
    is_verified: bool = False


def acro_verdict(contents: RequestContents, file: RequestFile) -> AcroVerdict | None:
    """Return what ACRO says of a file; None where nothing of ACRO's stands beside it. Asks no database."""
    folder = PurePosixPath(file.path).parent
    if is_acro_name(file.path) or folder.name == CHECKSUM_FOLDER:
        return None
    try:
        listed: ListedWorkspace | None = read_workspace(contents.request.workspace)
    except WorkspaceUnreadable:
        listed = None
    name = PurePosixPath(file.path).name
    for results_path in (str(folder / acro_name) for acro_name in ACRO_NAMES):
        opened = _opened(contents, listed, results_path)
        if opened is None:
            continue
        try:
            with opened() as stream:
                data = stream.read(MAX_TABLE_JSON + 1)
            if len(data) > MAX_TABLE_JSON:
                raise Unreadable(f"it is longer than {MAX_TABLE_JSON:,} bytes")
            results = read_acro_results(data)
            written = _opened(contents, listed, str(folder / CHECKSUM_FOLDER / f"{name}.txt"))
            checksums = {}
            if written is not None:
                with written() as stream:
                    checksums = {name: stream.read(MAX_CHECKSUM_BYTES)}
            return _verdict(file, results_path, results, checksums)
        except (Unreadable, WorkspaceUnreadable, copies.CopyRefused) as error:
            return AcroVerdict(path=results_path, unchecked=f"{results_path} cannot be used: {error}")
    return None


def _opened(contents: RequestContents, listed: ListedWorkspace | None, path: str) -> _Opened | None:
    """Return what opens a file that the request, or else the workspace, has at this path; None where neither does."""
    row = next((other for other in contents.current_files if other.path == path), None)
    if row is not None:
        return lambda: copies.opened(contents.request.workspace, contents.request.pk, row.sha256)
    if listed is not None and path in listed.files:
        return lambda: open_listed(listed, path)
    return None


def _verdict(file: RequestFile, path: str, results: AcroResults, checksums: dict[str, bytes]) -> AcroVerdict:
    """Hold the results against the bytes of the request's copy. Raises Unreadable and CopyRefused."""
    name = PurePosixPath(file.path).name
    outputs = results.outputs_of(name)
    if not outputs:
        return AcroVerdict(path=path, version=results.version, unchecked=f"{path} does not name {name}")
    with copies.opened(file.request.workspace, file.request_id, file.sha256) as stream:
        data = stream.read(MAX_SHOWN_BYTES + 1)
    if len(data) > MAX_SHOWN_BYTES:
        raise Unreadable(f"{name} is longer than {MAX_SHOWN_BYTES:,} bytes")
    state = verify_checksums(results, {name: data}, checksums)[name]
    if state is ChecksumState.DIFFERS:
        return AcroVerdict(
            path=path,
            version=results.version,
            outputs=outputs,
            unchecked=f"{name} is not the file that ACRO checked: its checksum is another",
        )
    marks: dict[CellPlace, str] = {}
    outside = 0
    if name.lower().endswith(".csv"):
        text = "".join(decoded([data]))
        header = header_of([text])
        names = header.cells if header else ()
        for output in outputs:
            flagged = flagged_cells(output, name, text)
            outside += flagged.outside
            for cell in flagged.cells:
                column = names[cell.column_number - 1] if cell.column_number <= len(names) else ""
                marks[cell.line, column] = f"ACRO {', '.join(cell.checks)}"
    return AcroVerdict(
        path=path,
        version=results.version,
        outputs=outputs,
        checks=tuple(
            (check, count)
            for output in outputs
            for listed in output.files
            if listed.name == name
            for check, count in listed.checks.items()
            if count
        ),
        marks=marks,
        outside=outside,
        is_verified=state is ChecksumState.MATCHES,
    )

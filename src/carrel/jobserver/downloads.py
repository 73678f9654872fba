"""Released files as one zip, written while it is sent: the backend as a folder, or in each file's name.

A README names them all. Cells that a spreadsheet would calculate are told of in it and left as they are: the bytes are
those that were released.
"""

import csv
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

from carrel.jobserver.models import ReleaseFile
from carrel.jobserver.publishing import origin_of
from carrel.jobserver.service.releases import path_of
from carrel.pages.formats import count_text
from carrel.pages.templatetags.pages import day
from carrel.units.limits import MAX_DOWNLOAD_BYTES, MIB, READ_BLOCK_BYTES

README = "README.md"
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
MAX_LOOKED_INTO_BYTES = 16 * MIB
"""Largest table that is looked into for formulas."""


class DownloadTooLarge(Exception):
    """The files are more than one download may hold; says how much that is."""


@dataclass(frozen=True, slots=True)
class DownloadTitle:
    """What is downloaded, of which workspace, and the address that says more."""

    text: str
    workspace: str
    address: str
    at: datetime


@dataclass(slots=True)
class _Pieces:
    """What a zip is written to: a stream that cannot go back, whose pieces are sent as they come."""

    pending: list[bytes] = field(default_factory=list)

    def write(self, data: bytes) -> int:
        self.pending.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""

    def take(self) -> bytes:
        pending, self.pending = self.pending, []
        return b"".join(pending)


def zip_response(files: Sequence[ReleaseFile], title: DownloadTitle, *, in_names: bool) -> StreamingHttpResponse:
    """Return a zip. `in_names`: `model.north.csv` instead of `north/model.csv`. Raises DownloadTooLarge."""
    if sum(file.size for file in files if file.is_available) > MAX_DOWNLOAD_BYTES:
        limit = MAX_DOWNLOAD_BYTES // MIB
        raise DownloadTooLarge(f"These files are more than the {limit:,} MiB of one download: take one release each.")
    response = StreamingHttpResponse(zip_pieces(files, title, in_names=in_names), content_type="application/zip")
    response["Content-Disposition"] = content_disposition_header(True, f"{title.workspace}-outputs.zip")
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    return response


def zip_pieces(files: Sequence[ReleaseFile], title: DownloadTitle, *, in_names: bool) -> Iterator[bytes]:
    """Yield the zip piece by piece; the README is its last file, since only then it is known what is in it."""
    stream = _Pieces()
    names = names_in_zip(files, in_names=in_names)
    packed: list[tuple[str, ReleaseFile]] = []
    missing: list[ReleaseFile] = []
    formulas: dict[str, str] = {}
    with zipfile.ZipFile(cast(BinaryIO, stream), "w", zipfile.ZIP_DEFLATED) as archive:
        for file, name in zip(files, names, strict=True):
            if not file.is_available:
                continue
            try:
                source = path_of(file).open("rb")
            except OSError:
                missing.append(file)
                continue
            entry = zipfile.ZipInfo(name, (file.uploaded_at or file.created_at).timetuple()[:6])
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            with source, archive.open(entry, "w", force_zip64=True) as target:
                while block := source.read(READ_BLOCK_BYTES):
                    target.write(block)
                    yield stream.take()
            packed.append((name, file))
            if note := formula_note(file):
                formulas[name] = note
        deleted = [file for file in files if file.deleted_at is not None]
        archive.writestr(README, readme(title, packed, deleted, missing, formulas))
    yield stream.take()


def names_in_zip(files: Iterable[ReleaseFile], *, in_names: bool) -> list[str]:
    """Return each file's name in the zip; of two versions of a file, the second has its release in its name too."""
    names: dict[str, None] = {}
    for file in files:
        path = PurePosixPath(file.name)
        name = str(path.with_name(f"{path.stem}.{file.backend.slug}{path.suffix}")) if in_names else file.full_name
        if name in names or name == README:
            path = PurePosixPath(name)
            name = str(path.with_name(f"{path.stem}.{file.release_id}{path.suffix}"))
        names[name] = None
    return list(names)


def formula_note(file: ReleaseFile) -> str:
    """Say how many cells of a table a spreadsheet would calculate; empty where there is none."""
    if not file.name.lower().endswith((".csv", ".tsv")):
        return ""
    if file.size > MAX_LOOKED_INTO_BYTES:
        return "too large to be looked into: not checked"
    with path_of(file).open("rb") as stream:
        text = stream.read(MAX_LOOKED_INTO_BYTES).decode("utf-8", errors="replace")
    delimiter = "\t" if file.name.lower().endswith(".tsv") else ","
    try:
        rows = csv.reader(text.splitlines(), delimiter=delimiter)
        count = sum(is_formula(cell) for row in rows for cell in row)
    except csv.Error:
        return "cannot be read as a table: not checked"
    return count_text(count, "cell") if count else ""


def is_formula(cell: str) -> bool:
    """Tell whether a spreadsheet takes a cell for a formula; a number with a sign is none."""
    if not cell.startswith(FORMULA_SIGNS):
        return False
    try:
        float(cell.replace(",", "").removesuffix("%"))
    except ValueError:
        return True
    return False


def readme(
    title: DownloadTitle,
    packed: Sequence[tuple[str, ReleaseFile]],
    deleted: Iterable[ReleaseFile],
    missing: Iterable[ReleaseFile] = (),
    formulas: dict[str, str] | None = None,
) -> str:
    """Return the index of these files, by the names that they have beside it."""
    lines = [
        f"# {title.text}",
        "",
        f"{count_text(len(packed), 'file')}, as of {day(title.at)}. {title.address}",
        "",
        "| file | backend | bytes | made by | commit | release | SHA-256 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, file in packed:
        made = origin_of(file.metadata)
        cells = (name, file.backend.slug, file.size, made.action, made.commit, file.release_id, file.sha256)
        lines.append(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |")
    gone = [f"* {file.full_name}, deleted on {day(file.deleted_at)}" for file in deleted if file.deleted_at]
    lines += ["", "## Deleted", "", *gone] if gone else []
    lost = [f"* {file.full_name}: its bytes are missing. Tell those who run the site." for file in missing]
    lines += ["", "## Missing", "", *lost] if lost else []
    if formulas:
        lines += ["", "## Cells that a spreadsheet would calculate", ""]
        lines += [f"* {name}: {note}" for name, note in formulas.items()]
        lines += ["", "They are as they were released. Open these files as text, or import their columns as text."]
    return "\n".join(lines) + "\n"

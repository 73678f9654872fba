"""A job's outputs in a publication, and as the manifest tells of them."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path

from carrel.messages.manifest import OutputRecord
from carrel.outputs.csv_shape import CsvShape, measure_output
from carrel.outputs.publication import Publication
from carrel.outputs.staging import StagedFile


@dataclass(frozen=True, slots=True)
class StagedOutput:
    """An output that is staged; `shape` of CSV files that are counted."""

    path: str
    level: str
    file: StagedFile
    shape: CsvShape | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOrigin:
    """The job that made outputs, as the manifest names it; `user` and `repo` are empty where there are none."""

    job_id: str
    job_request: str
    action: str
    user: str = ""
    repo: str = ""
    commit: str
    database_version: str | None = None


def stage_output(
    publication: Publication, source: int, target: Path, path: str, level: str, *, link: bool
) -> StagedOutput:
    """Stage the output `path`, which is open as `source`, for `target`, and close it; `link` as in `add_file`."""
    try:
        file = publication.add_file(source, target, link=link)
    finally:
        os.close(source)
    return StagedOutput(path, level, file, measure_output(file.path, path, level, publication.check))


def record_of(output: StagedOutput, origin: OutputOrigin, exclusion: str | None) -> OutputRecord:
    """The manifest's record of an output. `exclusion`: what bars it from level 4, None where nothing does."""
    return OutputRecord(
        **asdict(origin),
        path=output.path,
        level=output.level,
        size=output.file.size,
        timestamp=output.file.mtime,
        content_hash=output.file.sha256,
        excluded=exclusion is not None,
        message=exclusion,
        row_count=output.shape.rows if output.shape else None,
        col_count=output.shape.cols if output.shape else None,
    )

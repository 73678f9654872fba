"""Other versions of a file of a request: its original, its earlier turns, the last release, requests before."""

from collections.abc import Iterator
from dataclasses import dataclass

from carrel.review.machine import STATES, ReviewStatus
from carrel.review.models import ReleaseRequest, RequestFile
from carrel.review.queries.contents import RequestContents
from carrel.review.queries.submissions import earlier_submissions
from carrel.review.service.findings import earlier_files

MOST_VERSIONS = 20
"""Of each kind, the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierVersion:
    """Bytes that a file had elsewhere or before: what they are called, and whose copy holds them.

    `was_released`: they left this backend, so that a difference to them is known outside.
    """

    key: str
    label: str
    request: ReleaseRequest
    sha256: str
    was_released: bool = False


def versions_of(contents: RequestContents, file: RequestFile) -> list[EarlierVersion]:
    """Return what a file can be compared with, what is most asked for first: its original, its turn before, a release.

    All are of the same workspace, which whoever sees the file may see (R1).
    """
    return [*_of_this_request(contents, file), *_of_others(file)]


def _of_this_request(contents: RequestContents, file: RequestFile) -> Iterator[EarlierVersion]:
    original = next((row for row in contents.files if row.pk == file.derived_from_id), None)
    if original is not None:
        yield EarlierVersion(
            key="original", label=f"its original, {original.path}", request=contents.request, sha256=original.sha256
        )
    for submission in earlier_submissions(contents, MOST_VERSIONS):
        if sha256 := submission.files.get(file.path):
            label = f"turn {submission.turn}"
            yield EarlierVersion(key=label.replace(" ", "-"), label=label, request=contents.request, sha256=sha256)


def _of_others(file: RequestFile) -> Iterator[EarlierVersion]:
    rows = earlier_files(file.request, file.path)
    released = [row for row in rows if row.released_at]
    last = max(released, key=lambda row: row.released_at, default=None)
    for row in ([last] if last else []) + [row for row in rows[:MOST_VERSIONS] if row is not last]:
        words = STATES[ReviewStatus(row.request.status)].words
        date = f"{row.request.created_at:%-d %b %Y}"
        yield EarlierVersion(
            key=row.request_id,
            label=f"the last release, {row.released_at:%-d %b %Y}" if row is last else f"request of {date}, {words}",
            request=row.request,
            sha256=row.sha256,
            was_released=row.released_at is not None,
        )

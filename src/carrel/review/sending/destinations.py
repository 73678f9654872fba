"""Where approved files go: to a job server, or to a folder of this machine where there is none."""

from collections.abc import Sequence
from typing import Protocol

from carrel.clients.job_server_connection import JobServerUnavailable
from carrel.clients.releases import ReleasesClient
from carrel.messages.releases import FileList, ReleasedFile
from carrel.review import settings
from carrel.review.models import ReleaseRequest, RequestFile
from carrel.units.files import write_atomically

TOOL = "carrel"
RELEASED_MODE = 0o440


class Destination(Protocol):
    """Where a request's files go. Doing anything again is doing it once. Raises JobServerError and OSError."""

    def begin(self, request: ReleaseRequest, files: Sequence[RequestFile]) -> str:
        """Announce all outputs of an approved request; return the address of its release, "" where there is none."""

    def send(self, request: ReleaseRequest, file: RequestFile, data: bytes) -> None:
        """Hand over a file's bytes; they are there for good once this returns."""


class JobServerDestination:
    """A job server, which knows the release by the request's id."""

    def __init__(self, client: ReleasesClient) -> None:
        self.client = client

    def begin(self, request: ReleaseRequest, files: Sequence[RequestFile]) -> str:
        """Create the release; the same list of files again is the same release."""
        announced = FileList(
            files=[_announced(file) for file in files], metadata={"tool": TOOL, "airlock_id": request.pk}
        )
        username = files[0].released_by_id or ""
        created = self.client.create_release(request.workspace, announced, username=username)
        if created.release_id != request.pk:
            raise JobServerUnavailable(
                f"The job server calls the release {created.release_id}, not {request.pk}: it does not keep the ids of "
                "requests, so that sending again would make another release. Ask those who run it."
            )
        return created.release_url

    def send(self, request: ReleaseRequest, file: RequestFile, data: bytes) -> None:
        """Upload one file; that it was uploaded before is a success."""
        self.client.upload(request.pk, file.path, data, username=file.released_by_id or "")


class FolderDestination:
    """A folder of this machine: `<releases>/<request>/<backend>/<path>`."""

    def begin(self, request: ReleaseRequest, files: Sequence[RequestFile]) -> str:
        """Nothing is announced."""
        return ""

    def send(self, request: ReleaseRequest, file: RequestFile, data: bytes) -> None:
        """Write the file, whole or not at all."""
        path = settings.get().releases / request.pk / request.backend / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data, synced="folder", mode=RELEASED_MODE)


def _announced(file: RequestFile) -> ReleasedFile:
    """Return a file as a release's list has it, with what made it; nothing of what people wrote of it leaves."""
    origin = {
        "action": file.action,
        "job_id": file.job_id,
        "job_request": file.job_request,
        "repo": file.repo,
        "commit": file.commit,
        "database_version": file.database_version,
    }
    return ReleasedFile(
        name=file.path,
        url=file.path,
        size=file.size,
        sha256=file.sha256,
        date=file.modified_at.isoformat(),
        metadata={"tool": TOOL, **{name: value for name, value in origin.items() if value}},
    )

"""A client of a job server's releases API, as a review site inside a backend speaks it.

Source: job-server.md sections 2.2 to 2.4. It works with Carrel's job server and with OpenSAFELY's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from carrel.clients.job_server_connection import JobServerConnection, JobServerRefused
from carrel.messages.level4 import Level4Person
from carrel.messages.releases import OS_USER_HEADER, RELEASE_ID_HEADER, CreatedRelease, FileList

if TYPE_CHECKING:
    import httpx

Answered = TypeVar("Answered", bound=BaseModel)

UPLOAD_SECONDS = 300.0
"""Longest time that the answer to an upload may take: the job server stores the file first."""
_UPLOADED_BEFORE = "already been uploaded"
"""In the words of a job server that has these bytes: a success."""


class ReleasesClient(JobServerConnection):
    """One backend's way out to a job server. `endpoint` ends in `/api/v2/`. A context manager.

    Every method raises JobServerRefused, JobServerUnavailable, or its kind JobServerUnreadable.
    """

    def __init__(self, endpoint: str, token: str, http: httpx.Client | None = None) -> None:
        super().__init__(endpoint, token, "JOB_SERVER_TOKEN", http)

    def authenticate(self, user: str, words: str) -> Level4Person:
        """Return who shows these three words, which are used up by it. Refused with 403 where they are wrong."""
        return self._person("releases/authenticate", {"user": user, "token": words})

    def authorise(self, username: str) -> Level4Person:
        """Return what somebody may do now. Refused with 403 or 404 where that is nothing."""
        return self._person("releases/authorise", {"user": username})

    def create_release(self, workspace: str, files: FileList, *, username: str) -> CreatedRelease:
        """Announce the files of a release; with `metadata.airlock_id`, doing it again is doing it once.

        `username`: for whom. Refused with 409 where the id has another list of files.
        """
        path = f"releases/workspace/{quote(workspace, safe='')}"
        answer = self.ask(
            "POST", path, status=201, json=files.model_dump(mode="json"), headers={OS_USER_HEADER: username.encode()}
        )
        content = self.json(answer, path)
        if isinstance(content, dict):  # older job servers tell the id in the header alone
            content = {"release_id": answer.headers.get(RELEASE_ID_HEADER, ""), "release_url": "", **content}
        created = self._read(CreatedRelease, content, path)
        if not created.release_id.isalnum():
            raise self.strange(path, answer.status_code)
        return created

    def upload(self, release_id: str, name: str, data: bytes, *, username: str) -> None:
        """Send the bytes of an announced file; that they were sent before is a success too."""
        quoted = name.replace('"', '\\"')
        headers = {
            OS_USER_HEADER: username.encode(),
            "Content-Disposition": f'attachment; filename="{quoted}"'.encode(),
            "Content-Type": "application/octet-stream",
        }
        path = f"releases/release/{release_id}"
        try:
            self.ask("POST", path, status=201, seconds=UPLOAD_SECONDS, content=data, headers=headers)
        except JobServerRefused as error:
            if error.status != 400 or _UPLOADED_BEFORE not in error.detail:
                raise

    def tell(self, event: dict[str, Any]) -> str:
        """Tell of an event of a request; return what the job server could not do with it, "" if nothing."""
        path = "airlock/events/"
        content = self.json(self.ask("POST", path, status=201, json=event), path)
        if not isinstance(content, dict) or content.get("status") not in ("ok", "error"):
            raise self.strange(path, 201)
        return "" if content["status"] == "ok" else str(content.get("message") or "it says no more than that it failed")

    def _person(self, path: str, body: dict[str, str]) -> Level4Person:
        return self._read(Level4Person, self.json(self.ask("POST", path, json=body), path), path)

    def _read(self, model: type[Answered], content: Any, path: str) -> Answered:
        """Return an answer's content as this model. Raises JobServerUnreadable."""
        try:
            return model.model_validate(content)
        except (ValidationError, RecursionError):
            raise self.strange(path, 200) from None

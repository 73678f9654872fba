"""The releases API between a review site inside a backend and a job server (spec: job-server.md section 2.2).

What both sides send; what they read of an older peer may lack every key that has a default here.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from carrel.units.limits import (
    MAX_OUTPUT_NAME_BYTES,
    MAX_OUTPUT_PATH_BYTES,
    MAX_RELEASE_FILES,
)

RELEASE_ID_HEADER = "Release-Id"
FILE_ID_HEADER = "File-Id"
OS_USER_HEADER = "OS-User"
"""For whom a backend's program does something: a username."""
ALREADY_UPLOADED = "This version of '{name}' has already been uploaded from backend '{backend}'"
"""Clients take an answer that begins so for a success."""


def check_file_name(name: str) -> str:
    """Return the name if it can be a path below a workspace, on every system. Raises ValueError."""
    parts = name.split("/")
    if not name or any(part in ("", ".", "..") for part in parts):
        raise ValueError("a file's name is a path below its workspace, without '..', '.' or empty parts")
    if any(not character.isprintable() for character in name) or "\\" in name:
        raise ValueError("a file's name has printable characters only, and no backslash")
    if len(name.encode()) > MAX_OUTPUT_PATH_BYTES or any(len(part.encode()) > MAX_OUTPUT_NAME_BYTES for part in parts):
        raise ValueError(f"a file's path has at most {MAX_OUTPUT_PATH_BYTES} bytes, each part {MAX_OUTPUT_NAME_BYTES}")
    return name


def clashes(names: Iterable[str]) -> list[str]:
    """Return the names that cannot be files beside the others: twice there, or a folder of another one."""
    ordered = sorted(names)
    twice = {name for name, following in pairwise(ordered) if name == following}
    folders = {"/".join(name.split("/")[:depth]) for name in ordered for depth in range(1, name.count("/") + 1)}
    return sorted(twice | (folders & set(ordered)))


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)


class FileReview(_Message):
    """What output checkers decided of one file, or of a release."""

    status: Literal["APPROVED", "REJECTED"]
    comments: Any = Field(default=None, description="Any JSON value")


class ReleasedFile(_Message):
    """One file of a list that a backend's program sends."""

    name: Annotated[str, AfterValidator(check_file_name)] = Field(
        description="The file's path below its workspace", examples=["output/table.csv"]
    )
    url: str = ""
    size: int = Field(ge=0, le=2**53, strict=True, description="In bytes")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    date: str = Field(description="When the file was last changed, in ISO 8601", examples=["2026-05-03T09:00:00Z"])
    metadata: dict[str, Any] = {}
    review: FileReview | None = None


class FileList(_Message):
    """Body of `POST releases/workspace/<workspace>` and of `POST releases/release/<id>/reviews`.

    `airlock_id` in `metadata` is the release's id to be: with it, the same list again is the same release.
    """

    files: list[ReleasedFile] = Field(min_length=1, max_length=MAX_RELEASE_FILES)
    metadata: dict[str, Any] = {}
    review: FileReview | dict[str, Any] | None = None


class CreatedRelease(_Message):
    """Answer of `POST releases/workspace/<workspace>`; the id stands in the header `Release-Id` too."""

    release_id: str = Field(examples=["01HX3V6Q4ZJ8S0K5T7W9Y2B1CD"])
    release_url: str


class IndexedFile(_Message):
    """One file of an answer."""

    name: str = Field(description="`<backend>/<path>`, or the path alone in the list of one release")
    id: str
    url: str = Field(description="Where its bytes are")
    user: str = Field(description="Username of who released it")
    date: str
    sha256: str
    size: int
    is_deleted: bool
    backend: str = Field(description="The backend's name")
    metadata: dict[str, Any]
    review: FileReview | None = None


class FileIndex(_Message):
    """A list of released files."""

    files: list[IndexedFile]

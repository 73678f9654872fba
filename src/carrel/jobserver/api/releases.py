"""Releases (section 2.2): a backend's review site announces and sends files; people and programs fetch them."""

from collections.abc import Iterator
from typing import cast

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.http import parse_header_parameters
from ninja import Router
from ninja.responses import Status

from carrel.jobserver import settings
from carrel.jobserver.api.answers import ApiRefusal, errors
from carrel.jobserver.api.callers import (
    ApiRequest,
    BackendUserAuth,
    CheckerAuth,
    PersonAuth,
    caller_of,
    permit,
)
from carrel.jobserver.api.forms import absolute, iso
from carrel.jobserver.api.workspaces import workspace_of
from carrel.jobserver.models import Backend, Release, ReleaseFile
from carrel.jobserver.released_files import file_response, latest_of, refusal_to_open
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.scopes import Scope
from carrel.jobserver.service import releases
from carrel.messages.releases import (
    FILE_ID_HEADER,
    RELEASE_ID_HEADER,
    CreatedRelease,
    FileIndex,
    FileList,
    IndexedFile,
)
from carrel.units.limits import READ_BLOCK_BYTES

router = Router(tags=["releases"])


@router.post(
    "releases/workspace/{name}",
    auth=BackendUserAuth(),
    response={201: CreatedRelease, 200: CreatedRelease, **errors(403, 404, 409)},
)
def announce(request: HttpRequest, response: HttpResponse, name: str, body: FileList) -> Status:
    """Announce the files of a release. With `metadata.airlock_id`, the same list again is the same release."""
    caller = caller_of(request)
    workspace = workspace_of(caller, name)
    backend = cast(Backend, caller.backend)
    permit(request, Permission.RELEASE_FILE_UPLOAD, workspace, backend)
    try:
        release, _ = releases.create_release(workspace, backend, caller.user, body, caller)
    except releases.ReleaseConflict as error:
        raise ApiRefusal(409, str(error)) from None
    except releases.ReleaseError as error:
        raise ApiRefusal(400, str(error)) from None
    response[RELEASE_ID_HEADER] = release.pk
    return Status(201, CreatedRelease(release_id=release.pk, release_url=absolute(request, page_of_release(release))))


@router.get("releases/workspace/{name}", auth=PersonAuth(Scope.RELEASES), response={200: FileIndex, **errors(403, 404)})
def latest_files(request: HttpRequest, name: str) -> FileIndex:
    """The latest version of each file on each backend, as `<backend>/<path>`; what was deleted is not among them."""
    caller = caller_of(request)
    workspace = workspace_of(caller, name)
    permit(request, Permission.RELEASE_FILE_VIEW, workspace)
    releases.record_listing(caller, workspace)
    return FileIndex(files=[indexed(file, file.full_name) for file in latest_of(workspace)])


@router.post(
    "releases/release/{release_id}",
    auth=BackendUserAuth(),
    response={201: None, **errors(403, 404, 413)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
        "parameters": [
            {
                "in": "header",
                "name": "Content-Disposition",
                "required": True,
                "schema": {"type": "string"},
                "description": 'Which file of the release: `attachment; filename="output/table.csv"`',
            }
        ],
    },
)
def upload(request: HttpRequest, response: HttpResponse, release_id: str) -> Status:
    """Send the bytes of an announced file. They are checked against its hash while they arrive."""
    caller = caller_of(request)
    release = release_of(caller, release_id)
    backend = cast(Backend, caller.backend)
    permit(request, Permission.RELEASE_FILE_UPLOAD, release.workspace, backend)
    limit = settings.get().max_release_file_bytes
    if int(request.headers.get("Content-Length") or 0) > limit:
        raise ApiRefusal(400, f"The file is too large: it may have {limit} bytes.")
    try:
        file = releases.store_file(release, backend, file_name_of(request), blocks_of(request), caller.user, caller)
    except releases.ReleaseError as error:
        raise ApiRefusal(400, str(error)) from None
    response[FILE_ID_HEADER] = file.pk
    response["Location"] = absolute(request, reverse("api:release_file", args=[file.pk]))
    return Status(201, None)


@router.get(
    "releases/release/{release_id}", auth=PersonAuth(Scope.RELEASES), response={200: FileIndex, **errors(403, 404)}
)
def files_of_release(request: HttpRequest, release_id: str) -> FileIndex:
    """All files of a release, also those that have not arrived yet or were deleted."""
    caller = caller_of(request)
    release = release_of(caller, release_id)
    permit(request, Permission.RELEASE_FILE_VIEW, release.workspace, release.backend)
    releases.record_listing(caller, release.workspace, release)
    files = release.files.select_related("backend", "created_by")
    return FileIndex(files=[indexed(file, file.name) for file in files])


@router.post(
    "releases/release/{release_id}/reviews",
    auth=CheckerAuth(),
    response={200: None, **errors(403, 404)},
)
def review(request: HttpRequest, release_id: str, body: FileList) -> Status:
    """Say of files of a release what checkers decided: the whole list, each file with its `review`."""
    caller = caller_of(request)
    release = release_of(caller, release_id)
    if caller.backend is not None and caller.backend.pk != release.backend_id:
        raise ApiRefusal(403, f"Release is from backend {release.backend.slug} not {caller.backend.slug}")
    permit(request, Permission.RELEASE_FILE_UPLOAD, release.workspace, release.backend)
    try:
        releases.record_reviews(release, body, caller.user, caller)
    except releases.ReleaseError as error:
        raise ApiRefusal(400, str(error)) from None
    return Status(200, None)


@router.get(
    "releases/file/{file_id}",
    auth=PersonAuth(Scope.RELEASES),
    response={200: None, **errors(403, 404)},
    url_name="release_file",
    openapi_extra={"responses": {200: {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}}},
)
def fetch(request: HttpRequest, file_id: str) -> HttpResponseBase:
    """The bytes of a released file."""
    caller = caller_of(request)
    file = ReleaseFile.objects.select_related("backend", "workspace__project").filter(pk=file_id).first()
    if file is None:
        raise ApiRefusal(404, "There is no such file, or you may not see it.")
    workspace_of(caller, file.workspace.name)
    if why := refusal_to_open(caller.rights, file):
        raise ApiRefusal(403, why)
    if not file.is_available:
        raise ApiRefusal(404, "The file was deleted." if file.deleted_at else "File not yet uploaded")
    response = file_response(request, file)
    if response is None:
        raise ApiRefusal(404, "The file's bytes are missing. Tell those who run this site.")
    releases.record_access(caller, "release_file.downloaded", file)
    return response


def indexed(file: ReleaseFile, name: str, url: str = "") -> IndexedFile:
    """Return the file as lists have it. `url`: where its bytes are, if not at the API."""
    return IndexedFile(
        name=name,
        id=file.pk,
        url=url or reverse("api:release_file", args=[file.pk]),
        user=file.created_by.username,
        date=iso(file.uploaded_at or file.created_at) or "",
        sha256=file.sha256,
        size=file.size,
        is_deleted=file.deleted_at is not None,
        backend=file.backend.name,
        metadata=file.metadata,
    )


def release_of(caller: ApiRequest, release_id: str) -> Release:
    """Return the release, if the caller may know of its workspace. 404 otherwise."""
    release = Release.objects.select_related("workspace__project", "backend").filter(pk=release_id).first()
    if release is None:
        raise ApiRefusal(404, "There is no such release, or you may not see it.")
    workspace_of(caller, release.workspace.name)
    return release


def page_of_release(release: Release) -> str:
    """Return the path of the page that lists a release's files."""
    workspace = release.workspace
    return reverse("release", args=[workspace.project.slug, workspace.name, release.pk])


def file_name_of(request: HttpRequest) -> str:
    """Return the file name of `Content-Disposition`, its path kept. Raises ReleaseError."""
    header = request.headers.get("Content-Disposition", "").encode("latin-1", "replace").decode("utf-8", "replace")
    try:
        name = parse_header_parameters(header)[1].get("filename", "")
    except ValueError:
        name = ""
    if not name:
        raise releases.ReleaseError('Say which file this is: Content-Disposition: attachment; filename="<path>"')
    return name


def blocks_of(request: HttpRequest) -> Iterator[bytes]:
    """Read the body piece by piece."""
    while block := request.read(READ_BLOCK_BYTES):
        yield block

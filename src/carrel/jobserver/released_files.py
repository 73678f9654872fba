"""Released files for whoever may see them: the latest of each, and their bytes as answers.

Nothing in a released file can act on this site or fetch from elsewhere.
"""

import logging
from pathlib import PurePosixPath
from urllib.parse import quote

from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header, http_date

from carrel.jobserver import settings
from carrel.jobserver.models import ReleaseFile, Workspace
from carrel.jobserver.rights.grants import Rights
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.service.releases import path_of

logger = logging.getLogger(__name__)

REDIRECT_HEADER = "Releases-Redirect"
"""A proxy that serves the bytes itself says in it where it has them; believed only where it is the setting's value."""
TEXT = "text/plain; charset=utf-8"
PDF, SAVED = "application/pdf", "application/octet-stream"
"""Browsers save these, and show none of them."""
CONTENT_TYPES = {
    ".csv": "text/csv; charset=utf-8",
    ".gif": "image/gif",
    ".htm": "text/html; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".log": TEXT,
    ".md": TEXT,
    ".pdf": PDF,
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".tsv": "text/tab-separated-values; charset=utf-8",
    ".txt": TEXT,
    ".yaml": TEXT,
    ".yml": TEXT,
}
"""By suffix, whatever this machine thinks that files are; anything else is bytes to be saved."""
POLICY = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
"""A released page is a page of nobody's: no script, no cookie, no form, nothing from anywhere."""


def file_response(request: HttpRequest, file: ReleaseFile, *, public: bool = False) -> HttpResponseBase | None:
    """Return the file's bytes; None where they are missing on disk. `public`: others may keep a copy of the answer, and
    ask each time whether it is still public."""
    redirect = settings.get().releases_redirect
    response: HttpResponseBase
    try:
        stream = path_of(file).open("rb")
    except OSError:
        logger.exception("The bytes of released file %s cannot be read.", file.pk)
        return None
    if redirect and request.headers.get(REDIRECT_HEADER) == redirect:
        stream.close()
        response = HttpResponse()
        response["X-Accel-Redirect"] = f"{redirect.rstrip('/')}/{quote(file.path)}"
    else:
        response = FileResponse(stream)
    content_type = CONTENT_TYPES.get(PurePosixPath(file.name).suffix.lower(), SAVED)
    response["Content-Type"] = content_type
    is_saved = content_type in (SAVED, PDF)
    response["Content-Disposition"] = content_disposition_header(is_saved, file.full_name.replace("/", "."))
    response["Content-Security-Policy"] = POLICY
    response["X-Content-Type-Options"] = "nosniff"
    response["X-Frame-Options"] = "SAMEORIGIN"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response["Cache-Control"] = "public, no-cache" if public else "private, no-store"
    response["Last-Modified"] = http_date((file.uploaded_at or file.created_at).timestamp())
    return response


def refusal_to_open(rights: Rights, file: ReleaseFile) -> str:
    """Say why somebody may not open a file; empty when they may. Publishers may open what waits for their decision."""
    project_id = file.workspace.project_id
    why = rights.why_not(Permission.RELEASE_FILE_VIEW, project_id=project_id, backend_id=file.backend_id)
    if why and rights.holds(Permission.SNAPSHOT_PUBLISH, project_id=project_id):
        return "" if file.snapshots.filter(publish_requests__decision=None).exists() else why
    return why


def latest_of(workspace: Workspace, name: str = "") -> list[ReleaseFile]:
    """Return the latest version of each file on each backend, of those whose bytes are here. `name`: of this one."""
    newest = Window(
        RowNumber(), partition_by=[F("backend"), F("name")], order_by=[F("uploaded_at").desc(), F("id").desc()]
    )
    files = ReleaseFile.objects.available().filter(workspace=workspace)
    files = files.filter(name=name) if name else files
    files = files.annotate(age_rank=newest).filter(age_rank=1)
    return list(
        files.select_related("backend", "created_by", "release", "workspace").order_by(
            "backend__position", "backend__slug", "name"
        )
    )

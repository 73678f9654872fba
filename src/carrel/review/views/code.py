"""The code that made a file: the study's repository at the commit of the manifest, from the mirror on this machine."""

from dataclasses import dataclass

from django.http import HttpResponse
from django.urls import reverse
from django.utils.http import urlencode

from carrel.repos import GitError, Limits, Mirrors, RepoInfrastructureError, RepoSettings
from carrel.review import settings
from carrel.review.access import ReviewAccess, ReviewPage, ReviewRequest
from carrel.review.models import ReleaseRequest, RequestFile
from carrel.review.queries.contents import contents_of
from carrel.review.shown.texts import TextPage, page_of_text
from carrel.review.views.file_frame import file_page
from carrel.units.settings import read_settings

READ_SECONDS = 5.0
"""How long a page waits for git."""
FIRST = "project.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeEntry:
    """A name in a folder of the repository."""

    name: str
    url: str


def file_code(request: ReviewRequest, release_request: ReleaseRequest, file: RequestFile) -> HttpResponse:
    """The repository at the commit that made the file; `?path=` names a file or folder of it."""
    path = request.GET.get("path", FIRST).strip("/")
    url = reverse("file_code", args=[release_request.pk, file.path])
    folder, entries, text, problem = "", [], None, ""
    if not file.repo or not file.commit:
        problem = "The manifest does not say which commit made this file."
    else:
        try:
            folder, names, text = _read(file, path)
            parent = f"{folder}/" if folder else ""
            entries = [CodeEntry(name=name, url=f"{url}?{urlencode({'path': parent + name})}") for name in names]
        except (GitError, RepoInfrastructureError) as error:
            problem = f"The code cannot be shown: {error}."
    context = {
        "code_path": path,
        "folder": folder,
        "entries": entries,
        "parent_url": f"{url}?{urlencode({'path': folder.rpartition('/')[0] or '.'})}" if folder else "",
        "code": text,
        "problem": problem,
    }
    return file_page(request, contents_of(release_request), file, "file_code", "review/files/code.html", **context)


def _read(file: RequestFile, path: str) -> tuple[str, list[str], TextPage | None]:
    """Return a folder of the repository, the names in it, and the lines of the file that `path` is, if it is one."""
    limits = Limits(connect=READ_SECONDS, total=READ_SECONDS)
    mirrors = Mirrors(settings.get().mirrors, read_settings(RepoSettings).policy("review"), limits)
    deadline = mirrors.deadline()
    path = "" if path == "." else path
    names = mirrors.list_folder(file.repo, file.commit, path, deadline)
    if names or not path:
        return path, names, None
    folder = path.rpartition("/")[0]
    data = mirrors.read_file(file.repo, file.commit, path, deadline)
    return folder, mirrors.list_folder(file.repo, file.commit, folder, deadline), page_of_text(data)


PAGES = [ReviewPage("requests/<str:request_id>/code/<path:file>", file_code, "file_code", ReviewAccess.VIEWERS)]

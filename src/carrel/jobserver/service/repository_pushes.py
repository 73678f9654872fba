"""Released files pushed to a branch of the study's repository, where whoever reads the code finds what it made.

Each push is one commit that names its releases. The same files again change nothing; what others committed stays.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from carrel.jobserver import settings
from carrel.jobserver.downloads import README, DownloadTitle, readme
from carrel.jobserver.models import ReleaseFile, Workspace
from carrel.jobserver.service.audit import Actor, record
from carrel.jobserver.service.releases import path_of
from carrel.repos import GitError, Limits, RepoInfrastructureError, RepoSettings
from carrel.repos.pushing import BranchChange, PushedCommit, PushingMirrors
from carrel.units.settings import read_settings

FOLDER = "released_outputs"
PUSH_SECONDS = 60.0


class PushError(Exception):
    """Nothing was pushed; says why."""


def push_files(
    workspace: Workspace, files: Sequence[ReleaseFile], text: str, at: datetime, actor: Actor
) -> PushedCommit:
    """Put files at `released_outputs/<backend>/<path>` on the branch RELEASE_BRANCH of the workspace's repository.

    `text` says what they are, `at` since when. Raises PushError.
    """
    branch = settings.get().release_branch
    # Of two versions of a file the later one counts.
    in_order = sorted((file for file in files if file.is_available), key=lambda file: file.created_at)
    available = list({file.full_name: file for file in in_order}.values())
    if branch == workspace.branch:
        raise PushError(f"{branch} is the branch of the study's code: choose another RELEASE_BRANCH.")
    if not available:
        raise PushError("None of these files is here.")
    sources = {f"{FOLDER}/{file.full_name}": _checked_path(file) for file in available}
    title = DownloadTitle(text, workspace.name, "", at)
    packed = [(f"{FOLDER}/{file.full_name}", file) for file in available]

    def index_text(paths: Sequence[str]) -> str:
        others = [f"* {path}" for path in paths if path not in sources]
        return "\n".join([readme(title, packed, []), *(["## Also on this branch", "", *others, ""] if others else [])])

    releases = sorted({file.release_id for file in available})
    change = BranchChange(
        branch=branch,
        files=sources,
        index_path=README,
        index_text=index_text,
        message=f"{text}\n\n" + "".join(f"Release: {release}\n" for release in releases),
        author=settings.get().jobserver_name,
        email=f"{settings.get().release_push_user}@localhost",
        at=at,
    )
    try:
        pushed = _mirrors().push(workspace.repo_url, change)
    except GitError as error:
        raise PushError(f"{error}. Look at the repository's address and at the right to push to it.") from error
    except RepoInfrastructureError as error:
        raise PushError(f"{error}. Nothing of others was changed; try again in a minute.") from error
    record(
        actor,
        "release.pushed",
        subject_type="workspace",
        subject=workspace.name,
        project=workspace.project,
        new={"branch": branch, "commit": pushed.commit, "new": pushed.is_new, "releases": releases},
    )
    return pushed


def _checked_path(file: ReleaseFile) -> Path:
    """Return where a file's bytes are. Raises PushError unless they are those that were released."""
    path, digest = path_of(file).resolve(), None
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        pass
    if digest != file.sha256:
        raise PushError(
            f"The bytes of {file.full_name} are missing or not those that were released: tell the site's staff."
        )
    return path


def _mirrors() -> PushingMirrors:
    """The mirrors from which is pushed, straight to the repository's host: a proxy in between only reads."""
    policy, own = read_settings(RepoSettings).policy("jobserver"), settings.get()
    if own.push_token:
        policy = dataclasses.replace(
            policy, private_repo_access_token=own.push_token, token_user=own.release_push_user, shares_token=True
        )
    policy = dataclasses.replace(policy, github_proxy_domain="")
    return PushingMirrors(own.workdir.resolve() / "push_mirrors", policy, Limits(total=PUSH_SECONDS))

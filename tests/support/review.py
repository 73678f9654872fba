"""People, workspaces and release requests at a review site, with sensible values.

Each function makes one row (or a small family, or a workspace's folder) and returns it. Pages are asked for through
`browse(account)`, a Django test client that is signed in.
"""

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone

from carrel.messages.manifest import OutputRecord, dumps, entry_of
from carrel.review import settings
from carrel.review.accounts import begin_session, viewer
from carrel.review.models import Account, FileGroup, LevelGrant, ReleaseRequest, RequestFile
from carrel.review.viewers import Viewer

COMMIT = "3fa9c1e0" * 5
WORKSPACE = "visits-by-plan"
_numbers = itertools.count(1)


def details(*, ongoing: bool = True, archived: bool = False, project: str = "Visits by plan") -> dict[str, Any]:
    """What a job server says of a workspace."""
    return {
        "project_details": {"name": project, "ongoing": ongoing, "orgs": ["Example University"]},
        "archived": archived,
    }


def add_account(username: str = "", *workspaces: str, is_checker: bool = False, **more: Any) -> Account:
    """A local account with level 4, a member of these workspaces."""
    username = username or f"person{next(_numbers)}"
    authorisation = {
        "username": username,
        "fullname": username.title(),
        "workspaces": {name: details() for name in workspaces},
        "copiloted_workspaces": {},
        "output_checker": is_checker,
        "readonly_access": False,
        **more,
    }
    account = Account.objects.create(
        username=username,
        fullname=username.title(),
        source=Account.AccountSource.LOCAL,
        authorisation=authorisation,
        authorised_at=timezone.now(),
    )
    LevelGrant.objects.create(account=account, backend=settings.get().backend, level=4, granted_by="command line")
    return account


def add_outputs(files: dict[str, bytes], workspace: str = WORKSPACE, **manifest: Any) -> Path:
    """A workspace's level 4 folder with these outputs and their manifest, as an agent writes them."""
    folder = settings.get().workspaces / workspace
    (folder / "metadata").mkdir(parents=True, exist_ok=True)
    path = folder / "metadata" / "manifest.json"
    content = json.loads(path.read_bytes()) if path.exists() else {"workspace": workspace, "repo": None, "outputs": {}}
    for name, data in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        record = OutputRecord(
            path=name,
            level="moderately_sensitive",
            job_id="5enpabcdefghngpj",
            job_request="a2b3c4d5e6f7g2h3",
            action="tabulate",
            user="ann",
            repo="https://git.example.org/visits",
            commit=COMMIT,
            size=len(data),
            timestamp=target.stat().st_mtime,
            content_hash=hashlib.sha256(data).hexdigest(),
        )
        content["outputs"][name] = entry_of(record) | manifest
    path.write_bytes(dumps(content))
    return folder


def add_request(author: Account, workspace: str = WORKSPACE, **fields: Any) -> ReleaseRequest:
    """An empty request being prepared; see `add_file`."""
    return ReleaseRequest.objects.create(
        backend=settings.get().backend, workspace=workspace, author=author, project="Visits by plan", **fields
    )


def add_file(request: ReleaseRequest, path: str, data: bytes, group: str = "tables", **fields: Any) -> RequestFile:
    """A file on a request, its copy stored, in a group that has its context and controls."""
    file_group, _ = FileGroup.objects.get_or_create(
        request=request, name=group, defaults={"context": "Visits by plan.", "controls": "Counts are rounded to 5."}
    )
    digest = hashlib.sha256(data).hexdigest()
    folder = settings.get().requests / request.workspace / request.pk
    folder.mkdir(parents=True, exist_ok=True)
    (folder / digest).write_bytes(data)
    values = {"size": len(data), "modified_at": timezone.now(), "action": "tabulate", "commit": COMMIT, **fields}
    return RequestFile.objects.create(request=request, group=file_group, path=path, sha256=digest, **values)


def browse(account: Account | None = None) -> Client:
    """A client that is signed in as this account."""
    client = Client()
    if account is not None:
        session = client.session
        begin_session(session, account)
        client.cookies[django_settings.SESSION_COOKIE_NAME] = session.session_key
    return client


def viewer_for(account: Account) -> Viewer:
    """The account as services and queries take it."""
    person = viewer(account, timezone.now())
    assert person is not None
    return person

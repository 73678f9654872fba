"""Released files as one zip."""

import io
import zipfile

import pytest
from django.test import Client
from tests.jobserver.views.test_outputs import HOME, checker, release, storage, workspace
from tests.support.jobserver import add_person, browse

from carrel.jobserver import downloads
from carrel.jobserver.models import AuditEvent, User, Workspace
from carrel.jobserver.service import publications, releases

pytestmark = pytest.mark.django_db
__all__ = ["checker", "storage", "workspace"]


def unpacked(client: Client, path: str) -> dict[str, str]:
    answer = client.get(f"{HOME}/{path}")
    assert answer["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_a_zip_names_the_backend_of_each_file(
    workspace: Workspace, checker: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browse(checker)
    north, south = (release(workspace, checker, backend, "output/model.csv") for backend in ("north", "south"))
    release(workspace, checker, "north", "formula.csv", b"a,b\n=1+1,-2.5\n")
    gone, lost = release(workspace, checker, "north", "gone.csv"), release(workspace, checker, "north", "lost.csv")
    releases.delete_file(gone, checker, checker)
    releases.path_of(lost).unlink()
    folders = unpacked(client, "outputs/download/")
    assert list(folders) == ["north/formula.csv", "north/output/model.csv", "south/output/model.csv", "README.md"]
    assert folders["north/formula.csv"] == "a,b\n=1+1,-2.5\n"
    readme = folders["README.md"]
    assert f"| south/output/model.csv | south | 4 |  |  | {south.release_id} | {south.sha256} |" in readme
    assert "* north/gone.csv, deleted on" in readme
    assert "* north/lost.csv: its bytes are missing" in readme
    assert "* north/formula.csv: 1 cell" in readme
    names = unpacked(client, "outputs/download/?backend=name")
    assert {"output/model.north.csv", "output/model.south.csv"} < set(names)
    assert list(unpacked(client, f"releases/{north.release_id}/download/")) == ["north/output/model.csv", "README.md"]
    assert AuditEvent.objects.filter(action="release_files.downloaded", actor="chris").count() == 3
    monkeypatch.setattr(downloads, "MAX_DOWNLOAD_BYTES", 3)
    assert "one download" in client.get(f"{HOME}/outputs/download/", follow=True).content.decode()
    assert browse(add_person("eve")).get(f"{HOME}/outputs/download/").status_code == 403


def test_a_snapshot_is_everybodys_while_it_is_public(workspace: Workspace, checker: User) -> None:
    publisher = add_person("pat", "OutputPublisher")
    files = [release(workspace, checker, "north", "a.csv", contents) for contents in (b"1\n", b"2\n")]
    snapshot = publications.draft(workspace, [file.pk for file in files], checker, checker)
    path = f"snapshots/{snapshot.pk}/download/"
    assert browse().get(f"{HOME}/{path}").status_code == 404
    publications.approve(snapshot, publisher, publisher)
    names = [name for name in unpacked(browse(), path) if name != downloads.README]
    assert len(names) == 2, "both versions are there"
    publications.unpublish(snapshot, "wrong", publisher, publisher)
    assert browse().get(f"{HOME}/{path}").status_code == 404


@pytest.mark.parametrize(
    ("cell", "is_formula"), [("=A1", True), ("@x", True), ("-1.5", False), ("+3%", False), ("-x", True), ("a", False)]
)
def test_what_a_spreadsheet_calculates(cell: str, is_formula: bool) -> None:
    assert downloads.is_formula(cell) is is_formula

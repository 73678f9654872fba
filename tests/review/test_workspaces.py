"""Workspaces by their manifests: what is listed, what is not there, and what is damaged."""

import hashlib
import json
from pathlib import Path

import pytest
from tests.support.review import WORKSPACE, add_outputs

from carrel.review.rules import FileState, FileType
from carrel.review.workspaces import (
    RequestedContent,
    WorkspaceUnreadable,
    open_listed,
    read_workspace,
    state_of,
    workspace_names,
)

HASH, OTHER = "a" * 64, "b" * 64


def changed(folder: Path, **entries: object) -> None:
    """The manifest with other outputs."""
    path = folder / "metadata/manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "outputs": entries}))


def test_what_is_listed() -> None:
    folder = add_outputs({"output/a.csv": b"x\n1\n"})
    add_outputs({"output/old.csv": b"1"}, out_of_date_output=True)
    add_outputs({"output/high.csv": b"1"}, level="highly_sensitive")
    add_outputs({"output/refused.csv": b"1"}, excluded=True, message="Too large")
    add_outputs({"output/of_old_action.csv": b"1"}, out_of_date_action=True)
    (folder / "output/refused.csv.txt").write_text("Too large")
    (folder / "output/not_in_manifest.csv").write_text("1")
    (folder / "metadata/tabulate.log").write_text("done")
    (folder / "metadata/link.log").symlink_to("/etc/passwd")
    workspace = read_workspace(WORKSPACE)
    assert list(workspace.files) == [
        "output/a.csv",
        "output/of_old_action.csv",
        "output/refused.csv.txt",
        "metadata/manifest.json",
        "metadata/tabulate.log",
    ]
    assert [path for path, file in workspace.files.items() if file.can_be_requested] == [
        "output/a.csv",
        "output/of_old_action.csv",
    ]
    assert workspace.files["output/refused.csv.txt"].is_stub
    assert workspace.outdated == 1
    with open_listed(workspace, "output/a.csv") as stream:
        assert stream.read() == b"x\n1\n"
    for path in ("output/not_in_manifest.csv", "../other/a.csv", "metadata/link.log"):
        with pytest.raises(WorkspaceUnreadable, match="has no file"):
            open_listed(workspace, path)


def test_an_old_manifest() -> None:
    """OpenSAFELY's first ones have no `outputs`, later ones no `user`, and the repository for all."""
    data = b"x\n1\n"
    folder = add_outputs({"output/a.csv": data})
    manifest = folder / "metadata/manifest.json"
    manifest.write_text('{"repo": "https://git.example.org/visits"}')
    assert list(read_workspace(WORKSPACE).files) == ["metadata/manifest.json"]
    changed(
        folder,
        **{"output/a.csv": {"level": "moderately_sensitive", "content_hash": hashlib.sha256(data).hexdigest()}},
    )
    record = read_workspace(WORKSPACE).files["output/a.csv"].record
    assert record is not None
    assert (record.repo, record.user, record.commit) == ("https://git.example.org/visits", "", "")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"outputs": []}', "[" * 100_000])
def test_a_damaged_manifest_is_an_error_of_that_workspace(text: str, caplog: pytest.LogCaptureFixture) -> None:
    folder = add_outputs({"a.csv": b"1"}, workspace="damaged")
    (folder / "metadata/manifest.json").write_text(text)
    add_outputs({"a.csv": b"1"}, workspace="good")
    (folder.parent / "empty").mkdir()
    (folder.parent / "link").symlink_to(folder.parent / "good")
    with caplog.at_level("ERROR"):
        assert workspace_names() == ["damaged", "good"]
    assert "The folder of workspace empty has no manifest" in caplog.text
    with pytest.raises(WorkspaceUnreadable, match="The manifest of workspace damaged is damaged"):
        read_workspace("damaged")
    with pytest.raises(WorkspaceUnreadable, match="has no manifest"):
        read_workspace("empty")
    assert "a.csv" in read_workspace("good").files


def test_a_damaged_entry_hides_only_itself() -> None:
    folder = add_outputs({"a.csv": b"1"})
    good = json.loads((folder / "metadata/manifest.json").read_text())["outputs"]["a.csv"]
    hash_is_path = {**good, "content_hash": "../../x"}
    entries = {"a.csv": good, "b.csv": 1, "../c.csv": good, "d.csv": hash_is_path, "e.csv": {**good, "size": -1}}
    changed(folder, **entries)
    workspace = read_workspace(WORKSPACE)
    assert list(workspace.files) == ["a.csv", "e.csv", "metadata/manifest.json"]
    assert workspace.damaged == ("../c.csv", "b.csv", "d.csv")


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "link", ".hidden", "missing", "x\0"])
def test_what_is_no_workspace(name: str) -> None:
    folder = add_outputs({"a.csv": b"1"}, workspace="good")
    (folder.parent / "link").symlink_to(folder)
    with pytest.raises(WorkspaceUnreadable):
        read_workspace(name)


def test_no_symlink_is_followed() -> None:
    folder = add_outputs({"output/a.csv": b"1"})
    workspace = read_workspace(WORKSPACE)
    (folder / "output/a.csv").unlink()
    (folder / "output/a.csv").symlink_to("/etc/passwd")
    with pytest.raises(WorkspaceUnreadable, match="cannot be read"):
        open_listed(workspace, "output/a.csv")
    (folder / "output").rename(folder / "elsewhere")
    (folder / "output").symlink_to(folder / "elsewhere")
    with pytest.raises(WorkspaceUnreadable, match="cannot be read"):
        open_listed(workspace, "output/a.csv")


@pytest.mark.parametrize(
    ("content_hash", "released", "requested", "state"),
    [
        (None, {HASH}, [], FileState.INVALID),
        (HASH, {HASH}, [(HASH, FileType.OUTPUT)], FileState.RELEASED),
        (HASH, {OTHER}, [(HASH, FileType.OUTPUT)], FileState.UNDER_REVIEW),
        (HASH, set(), [(HASH, FileType.SUPPORTING)], FileState.UNDER_REVIEW),
        (HASH, set(), [(OTHER, FileType.OUTPUT)], FileState.UPDATED),
        (HASH, set(), [(OTHER, FileType.OUTPUT), (HASH, FileType.OUTPUT)], FileState.UNDER_REVIEW),
        (HASH, set(), [(HASH, FileType.WITHDRAWN)], FileState.WITHDRAWN),
        (HASH, set(), [], FileState.UNRELEASED),
    ],
)
def test_the_state_of_a_file(
    content_hash: str | None, released: set[str], requested: list[tuple[str, FileType]], state: FileState
) -> None:
    contents = [RequestedContent(sha256=sha256, file_type=file_type) for sha256, file_type in requested]
    assert state_of(content_hash, released=released, requested=contents) is state

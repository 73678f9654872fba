"""Artifacts of refs in a bucket, on moto's S3."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from carrel.ingest.aws.artifacts import ArtifactsError, fetch, list_refs, remove, upload
from carrel.ingest.aws.commands import artifacts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "templates"
    (made / "deep").mkdir(parents=True)
    (made / "a.yaml").write_text("a: 1\n")
    (made / "deep" / "b.yaml").write_text("b: 2\n")
    (made / ".hidden").write_text("no")
    (made / "__pycache__").mkdir()
    (made / "__pycache__" / "c.pyc").write_bytes(b"no")
    return made


def keys(s3, bucket: str) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return sorted(each["Key"] for page in pages for each in page.get("Contents", ()))


def test_a_ref_holds_what_its_folders_hold_and_says_so(s3, bucket, folder):
    change = upload(s3, bucket, "v0.1", {"templates": folder})
    assert change.written == ("templates/a.yaml", "templates/deep/b.yaml")
    assert keys(s3, bucket) == [
        "Carrel/v0.1/index.json",
        "Carrel/v0.1/templates/a.yaml",
        "Carrel/v0.1/templates/deep/b.yaml",
    ]
    index = json.loads(s3.get_object(Bucket=bucket, Key="Carrel/v0.1/index.json")["Body"].read())
    assert [each["path"] for each in index["files"]] == list(change.written)


def test_a_second_upload_writes_only_what_changed_and_removes_what_went(s3, bucket, folder):
    upload(s3, bucket, "main", {"templates": folder})
    (folder / "a.yaml").write_text("a: 2\n")
    (folder / "new.yaml").write_text("n: 1\n")
    (folder / "deep" / "b.yaml").unlink()
    change = upload(s3, bucket, "main", {"templates": folder})
    assert change.written == ("templates/a.yaml", "templates/new.yaml")
    assert change.same == ()
    assert change.removed == ("templates/deep/b.yaml",)
    assert upload(s3, bucket, "main", {"templates": folder}).same == ("templates/a.yaml", "templates/new.yaml")


def test_what_somebody_deleted_behind_our_back_is_uploaded_again(s3, bucket, folder):
    upload(s3, bucket, "main", {"templates": folder})
    s3.delete_object(Bucket=bucket, Key="Carrel/main/templates/a.yaml")
    assert upload(s3, bucket, "main", {"templates": folder}).written == ("templates/a.yaml",)


def test_refs_are_apart_though_one_name_begins_another(s3, bucket, folder):
    for ref in ("v0.1", "v0.10", "main"):
        upload(s3, bucket, ref, {"templates": folder})
    assert list_refs(s3, bucket) == ["main", "v0.1", "v0.10"]
    assert len(remove(s3, bucket, "v0.1").removed) == 3
    assert list_refs(s3, bucket) == ["main", "v0.10"]
    assert not [key for key in keys(s3, bucket) if key.startswith("Carrel/v0.1/")]
    assert remove(s3, bucket, "v0.1").removed == ()


@pytest.mark.slow
def test_more_than_a_page_of_files_is_removed_whole(s3, bucket, folder):
    upload(s3, bucket, "main", {"templates": folder})
    for number in range(1000):
        s3.put_object(Bucket=bucket, Key=f"Carrel/main/templates/x{number}", Body=b"")
    assert len(remove(s3, bucket, "main").removed) == 1003
    assert keys(s3, bucket) == []


def test_fetch_brings_a_folder_and_trusts_nothing_that_the_index_does_not_name(s3, bucket, folder, tmp_path):
    upload(s3, bucket, "main", {"templates": folder, "mapping": folder / "deep"})
    s3.put_object(Bucket=bucket, Key="Carrel/main/mapping/stranger.yaml", Body=b"x")
    fetch(s3, bucket, "main", "mapping", tmp_path / "here")
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["b.yaml"]
    s3.put_object(Bucket=bucket, Key="Carrel/main/mapping/b.yaml", Body=b"changed")
    with pytest.raises(ArtifactsError, match="not what the index says"):
        fetch(s3, bucket, "main", "mapping", tmp_path / "there")
    with pytest.raises(ArtifactsError, match="holds nothing"):
        fetch(s3, bucket, "other", "mapping", tmp_path / "there")


@pytest.mark.parametrize("ref", ["", "feature/x", "..", "../main", "-x", "a b", "x" * 101])
def test_a_ref_that_could_reach_into_another_is_refused(s3, bucket, folder, ref):
    for work in (lambda: upload(s3, bucket, ref, {"templates": folder}), lambda: remove(s3, bucket, ref)):
        with pytest.raises(ArtifactsError, match="cannot name artifacts"):
            work()
    assert keys(s3, bucket) == []


def test_a_link_in_the_folder_is_refused_before_anything_is_uploaded(s3, bucket, folder):
    (folder / "secret").symlink_to("/etc/hostname")
    with pytest.raises(ArtifactsError, match="is a link"):
        upload(s3, bucket, "main", {"templates": folder})
    assert keys(s3, bucket) == []


@pytest.mark.parametrize(("fault", "whole"), [("ingest.artifact_uploaded", False), ("ingest.artifacts_indexed", True)])
def test_killed_on_the_way_it_is_not_listed_before_it_is_whole_and_running_again_mends_it(
    s3, bucket, folder, fault, whole
):
    code = (
        "import boto3, pathlib, sys; from carrel.ingest.aws.artifacts import upload;"
        "upload(boto3.client('s3'), 'raw', 'main', {'templates': pathlib.Path(sys.argv[1])})"
    )
    command = [sys.executable, "-c", code, str(folder)]
    killed = subprocess.run(command, env={**os.environ, "CARREL_FAULT": fault}, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list_refs(s3, bucket) == (["main"] if whole else [])
    upload(s3, bucket, "main", {"templates": folder})
    assert list_refs(s3, bucket) == ["main"]
    assert len(keys(s3, bucket)) == 3


def test_the_command_uploads_lists_and_removes(s3, bucket, folder):
    def run(*args: str):
        return CliRunner().invoke(artifacts, [*args, "--bucket", bucket])

    done = run("--upload", "--ref", "main", "--folder", f"templates={folder}")
    assert (done.exit_code, done.output) == (0, "main: 2 written, 0 same, 0 removed\n")
    assert run("--list").output == "main\n"
    assert json.loads(run("--remove", "--ref", "main", "--json").output)["removed"] == 3
    assert run("--list", "--json").output == "[]\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "one of --upload, --remove and --list"),
        (["--upload"], "needs --ref"),
        (["--upload", "--ref", "a/b"], "cannot name artifacts"),
        (["--upload", "--ref", "main", "--folder", "x"], "NAME=PATH"),
        (["--upload", "--ref", "main", "--folder", "x=MISSING"], "is not a folder"),
    ],
)
def test_the_command_says_what_is_wrong(s3, bucket, tmp_path, args, said):
    words = [word.replace("MISSING", str(tmp_path / "missing")) for word in args]
    done = CliRunner().invoke(artifacts, [*words, "--bucket", bucket])
    assert done.exit_code != 0
    assert said in done.output

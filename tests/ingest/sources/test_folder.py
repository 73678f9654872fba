"""Archives in folders: what is listed, what is left for later, what changed while it was read."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from carrel.ingest.archives import ArchiveRejected
from carrel.ingest.sources import ArchiveChanged, Source, SourceFault, source_of
from carrel.ingest.sources import folder as folders
from carrel.synthetic import zips
from carrel.units.limits import MAX_METADATA_BYTES

GOOD = zips.archive([("a.json", b"{}")])


def names(source):
    return [Path(ref.uri).name for ref in source.list()]


@pytest.fixture
def place(tmp_path):
    for name in ("b.zip", "a b.zip", "deep/er/c.zip", ".hidden.zip"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(GOOD)
    (tmp_path / "b.json").write_text(json.dumps({"recordid": "b", "participantVersion": 1}))
    return tmp_path


def test_a_folder_is_listed_whole_and_in_order(place):
    source = source_of(str(place))
    assert isinstance(source, Source)
    assert names(source) == ["a%20b.zip", "b.zip", "c.zip"]
    assert list(source.list()) == list(source.list())
    assert source.problems() == ()


def test_globs_and_single_files(place):
    assert names(source_of(str(place / "*.zip"))) == ["a%20b.zip", "b.zip"]
    assert names(source_of(str(place / "**" / "c*"))) == ["c.zip"]
    assert names(source_of(str(place / "b.zip"))) == ["b.zip"]
    assert names(source_of(str(place / "b*"))) == ["b.zip"]
    assert names(source_of(str(place / "none*.zip"))) == []
    with pytest.raises(SourceFault, match="no folder or file"):
        names(source_of(str(place / "nowhere")))


def test_an_archive_comes_with_its_sidecar(place):
    with pickle.loads(pickle.dumps(source_of(str(place)))) as source:
        spaced, with_sidecar, _ = source.list()
        with source.open(with_sidecar) as fetched:
            assert (fetched.data, fetched.metadata) == (GOOD, {"recordid": "b", "participantVersion": 1})
        with source.open(spaced) as fetched:
            assert fetched.metadata is None
        source.acknowledge([spaced])
    raw = place / "record-uuid"
    raw.write_bytes(GOOD)
    (place / "record-uuid.json").write_text("{}")
    (ref,) = source_of(str(place / "record-*")).list()
    with source.open(ref) as fetched:
        assert fetched.metadata == {}


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 100_000])
def test_a_sidecar_that_is_none(place, text):
    (place / "b.json").write_text(text)
    source = source_of(str(place / "b.zip"))
    (ref,) = source.list()
    with pytest.raises(ArchiveRejected) as caught, source.open(ref):
        pass
    assert caught.value.fault.keyword == "sidecar"


def test_a_sidecar_that_cannot_be_read(place):
    (place / "b.json").unlink()
    (place / "b.json").mkdir()
    source = source_of(str(place / "b.zip"))
    (ref,) = source.list()
    with pytest.raises(SourceFault, match="cannot be read"), source.open(ref):
        pass


def test_a_file_that_is_being_written_is_left_until_it_is_whole_or_old(place):
    part = place / "new.zip"
    part.write_bytes(GOOD[:-30])
    assert "new.zip" not in names(source_of(str(place)))
    os.utime(part, (1, 1))
    assert "new.zip" in names(source_of(str(place)))
    part.write_bytes(GOOD)
    assert "new.zip" in names(source_of(str(place)))


def test_what_changed_since_it_was_listed_is_left_for_the_next_run(place):
    source = source_of(str(place / "b.zip"))
    (ref,) = source.list()
    (place / "b.json").write_text('{"recordid": "corrected"}')
    with pytest.raises(ArchiveChanged), source.open(ref):
        pass
    (again,) = source.list()
    assert again.etag != ref.etag
    (place / "b.zip").unlink()
    with pytest.raises(ArchiveChanged), source.open(again):
        pass


def test_a_large_archive_is_not_held_in_memory_and_watched_while_it_is_read(place, monkeypatch):
    monkeypatch.setattr(folders, "IN_MEMORY", 10)
    source = source_of(str(place / "b.zip"))
    (ref,) = source.list()
    with source.open(ref) as fetched:
        assert fetched.data == place / "b.zip"
    with pytest.raises(ArchiveChanged), source.open(ref):
        (place / "b.zip").write_bytes(GOOD + b"more")


def test_a_file_that_goes_while_it_is_listed(place, monkeypatch):
    assert folders._etag(place / "gone.zip") is None
    assert folders._is_being_written(place / "gone.zip")


def test_a_folder_that_is_linked_into_itself_is_listed_once(place):
    (place / "deep" / "loop").symlink_to(place)
    assert names(source_of(str(place))) == ["a%20b.zip", "b.zip", "c.zip"]
    assert names(source_of(place.as_uri())) == ["a%20b.zip", "b.zip", "c.zip"]


@pytest.mark.parametrize("word", ["gs://bucket/prefix", "https://example.org/archives", "sqs", "sqs:", "sqs:queue"])
def test_what_is_no_source_is_told_the_forms(word):
    with pytest.raises(SourceFault, match=r"write a folder, a file, a glob, s3://|write sqs:|no folder or file"):
        list(source_of(word).list())


def test_a_name_with_a_colon_is_a_file_when_there_is_one(place, monkeypatch):
    monkeypatch.chdir(place)
    (place / "x:y.zip").write_bytes(GOOD)
    assert names(source_of("x:y.zip")) == names(source_of("x:*.zip")) == ["x%3Ay.zip"]


READ_AS_NOBODY = """
import os, sys
from carrel.ingest.sources import source_of
source = source_of(sys.argv[1])
if os.geteuid() == 0:
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
try:
    for ref in source.list():
        with source.open(ref):
            print("read", ref.uri)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("locked", ["b.zip", "deep/er", "deep", "."])
def test_what_may_not_be_read_is_said_and_not_skipped(place, locked):
    """As somebody who is not root, because root may read everything."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="carrel-test-") as folder:
        shutil.copytree(place, folder, dirs_exist_ok=True)
        Path(folder).chmod(0o755)
        (Path(folder) / locked).chmod(0)
        words = [sys.executable, "-c", READ_AS_NOBODY, folder]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
        (Path(folder) / locked).chmod(0o755)
    last = done.stdout.splitlines()[-1]
    assert last.startswith("SourceFault ")
    assert str(Path(folder) / locked) in last
    assert "cannot be read: Permission denied" in last


def test_suffixes_count_in_any_case_for_archives_and_what_lies_beside_them(tmp_path):
    for name in ("A.ZIP", "b.Zip", "c.zip", "d.txt"):
        (tmp_path / name).write_bytes(GOOD)
    for name, record in (("A.JSON", "a"), ("b.json", "b"), ("c.JSON", "not this"), ("c.json", "c")):
        (tmp_path / name).write_text(json.dumps({"recordid": record}))
    for pattern in (tmp_path, tmp_path / "[A-c]*"):
        source = source_of(str(pattern))
        refs = list(source.list())
        assert [Path(ref.uri).name for ref in refs] == ["A.ZIP", "b.Zip", "c.zip"]
        records = []
        for ref in refs:
            with source.open(ref) as fetched:
                records.append(fetched.metadata["recordid"])
        assert records == ["a", "b", "c"]


def test_what_a_desktop_leaves_is_not_listed(tmp_path):
    for name in ("a.zip", "._a.zip", "__MACOSX/._a.zip", "__MACOSX/a.zip", "deep/.DS_Store", "Thumbs.db"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(GOOD)
    assert names(source_of(str(tmp_path))) == ["a.zip"]
    assert names(source_of(str(tmp_path / "*"))) == ["a.zip"]
    assert names(source_of(str(tmp_path / ".*"))) == []
    assert names(source_of(str(tmp_path / "*" / "*"))) == []


def test_a_sidecar_without_end_is_the_archives_fault(place):
    with (place / "b.json").open("wb") as file:
        file.truncate(MAX_METADATA_BYTES + 1)
    source = source_of(str(place))
    _, ref, _ = source.list()
    with pytest.raises(ArchiveRejected, match="longer than"), source.open(ref):
        pass

"""Addresses of warehouses: what all libraries take for the same place works, the rest is refused at once."""

from pathlib import Path

import pytest
from tests.support.s3 import new_bucket

from carrel.ingest.store import TableCommit, WarehouseFault, open_dataset, open_storage, schema_bytes, write_file
from carrel.ingest.store.addresses import Bucket, place_of
from carrel.ingest.store.delta import commit
from carrel.ingest.store.ledger import SCHEMA, to_arrow, tombstone_line

GOOD_FOLDERS = (
    "a b",
    "a%b",
    "100%",
    "a#b",
    "a?b",
    "aéb",
    "日本",
    "a+b",
    "a&b=c",
    "a:b",
    "a'b\"c",
    "a*b",
    "[a]",
    "~a",
    "..a",
)
GOOD_PREFIXES = ("a b", "aéb", "日本/é", "a+b", "a&b=c,d@e", "a:b;c", "(a)!$'", "~a", "..a", "x.y/z_1-2")


@pytest.mark.parametrize("name", GOOD_FOLDERS)
def test_a_folder_with_an_unusual_name_is_one_place_for_all(name, tmp_path):
    storage = open_storage(str(tmp_path / name))
    written_and_read(storage)
    assert {path.name for path in (tmp_path / name).iterdir()} >= {"_ledger"}
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", GOOD_PREFIXES)
def test_a_prefix_with_an_unusual_name_is_one_place_for_all(name, s3):
    bucket = new_bucket(s3)
    storage = open_storage(f"s3://{bucket}/{name}")
    written_and_read(storage)
    keys = storage.access.client.list_objects_v2(Bucket=bucket)["Contents"]
    assert [each["Key"] for each in keys if not each["Key"].startswith(f"{name}/_ledger/")] == []
    assert len(keys) == 2


def written_and_read(storage):
    """By our own writer, by delta-rs's log, by Arrow's reader."""
    file = write_file(storage, "r00000001", "_ledger", "lines", to_arrow([tombstone_line("one", "r00000001")]))
    commit(storage, 1, TableCommit("_ledger", schema_bytes(SCHEMA), (file,)))
    commit(storage, 1, TableCommit("_ledger", schema_bytes(SCHEMA), (file,)))
    assert open_dataset(storage, "_ledger").to_table(columns=["tombstone"]).to_pylist() == [{"tombstone": "one"}]


@pytest.mark.parametrize("name", ["a%20b", "a%2Fb", "100%25", "a\\b", "a\nb", "a\x7fb", "a\udce9b"])
def test_a_folder_that_libraries_read_differently_is_refused_at_once(name, tmp_path):
    with pytest.raises(WarehouseFault, match="rename the folder"):
        open_storage(f"{tmp_path}/{name}")


@pytest.mark.parametrize(
    "prefix", ["a%20b", "100%", "a#b", "a?b", "a\\b", "a*b", "a//b", "a/../b", "./a", "a\nb", "[a]", "a\udce9"]
)
def test_a_prefix_that_libraries_read_differently_is_refused_at_once(prefix):
    with pytest.raises(WarehouseFault, match="prefix"):
        open_storage(f"s3://bucket/{prefix}")


@pytest.mark.parametrize("url", ["s3://", "s3:///prefix", "s3://UPPER/x", "s3://a/x", "s3://b?x/y"])
def test_what_is_no_bucket_is_refused_at_once(url):
    with pytest.raises(WarehouseFault, match="not a place in S3"):
        open_storage(url)


@pytest.mark.parametrize("url", ["gs://bucket/x", "az://container/x", "https://host/x", "hdfs://host/x"])
def test_other_kinds_of_place_are_refused_at_once(url):
    with pytest.raises(WarehouseFault, match="a folder or s3://bucket/prefix"):
        open_storage(url)


def test_urls_of_folders(tmp_path):
    assert place_of("file:///data/a%20b") == Path("/data/a b")
    assert place_of("delta:///data/w") == Path("/data/w")
    assert place_of("file://localhost/data/w") == Path("/data/w")
    for url in ("file:///data/a#b", "file:///data/a?b", "file://host/data", "file:///data/a%2520b"):
        with pytest.raises(WarehouseFault):
            place_of(url)
    with pytest.raises(WarehouseFault, match="which warehouse"):
        place_of("")


def test_relative_folders(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path / "here")
    assert place_of("w") == tmp_path / "here" / "w"
    # As the system sees it: above the folder that the link leads to.
    assert place_of("link/../w") == tmp_path / "w"


def test_prefixes_of_buckets():
    assert place_of("s3://bucket") == Bucket("bucket", "")
    assert place_of("s3://my.bucket-1/a/b/") == Bucket("my.bucket-1", "a/b")

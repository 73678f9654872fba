"""The operations of a place, on a local disk and on S3 over HTTP."""

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.s3 import new_bucket

from carrel.ingest.aws_access import Aws, s3_access
from carrel.ingest.store import WarehouseFault, open_storage, scratch


def test_keys_are_written_read_listed_copied_and_deleted(storage):
    assert storage.read("a/b.json") is None
    storage.write("a/b.json", b"1")
    storage.write("a/b.json", b"2")
    storage.write("a/c/d.json", b"3")
    storage.write("ab.json", b"4")
    assert storage.read("a/b.json") == b"2"
    assert sorted(storage.keys("a/")) == ["a/b.json", "a/c/d.json"]
    assert sorted(storage.keys("a/b")) == ["a/b.json"]
    assert sorted(storage.keys("")) == ["a/b.json", "a/c/d.json", "ab.json"]
    assert storage.folders("a/") == ["c"]
    storage.copy("a/b.json", "copies/b.json")
    assert storage.read("copies/b.json") == b"2"
    with storage.open("a/c/d.json") as stream:
        assert stream.read() == b"3"
    storage.delete("a")
    storage.delete("a")
    assert sorted(storage.keys("")) == ["ab.json", "copies/b.json"]


def test_more_keys_than_one_page_has(on_s3, monkeypatch):
    client = on_s3.access.client
    real = client.list_objects_v2
    monkeypatch.setattr(client, "list_objects_v2", lambda **args: real(MaxKeys=2, **args))
    for number in range(7):
        on_s3.write(f"many/{number}/x", b"")
    assert len(list(on_s3.keys("many/"))) == 7
    assert on_s3.folders("many/") == [str(number) for number in range(7)]


def test_of_many_who_create_a_key_one_succeeds(storage):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: storage.create("lock", b"%d" % number), range(8)))
    assert made.count(True) == 1
    assert storage.read("lock") == b"%d" % made.index(True)


def test_an_exchange_needs_what_was_there(storage):
    assert not storage.exchange("state", b"old", b"new")
    assert storage.exchange("state", None, b"one")
    assert not storage.exchange("state", None, b"two")
    assert storage.exchange("state", b"one", b"two")
    assert storage.read("state") == b"two"


def test_of_many_who_exchange_on_s3_one_succeeds(on_s3):
    on_s3.write("state", b"old")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: on_s3.exchange("state", b"old", b"%d" % number), range(8)))
    assert made.count(True) == 1


def test_an_answer_that_was_lost_is_no_failure(on_s3):
    # The request came through, its answer did not, and boto3 sent it again.
    assert on_s3.swap("key", b"token 1", None)
    assert on_s3.swap("key", b"token 1", None)
    assert on_s3.swap("key", b"token 2", None) is None


def test_a_conflict_of_two_conditional_writes_is_tried_again(on_s3, monkeypatch):
    from botocore.exceptions import ClientError

    client = on_s3.access.client
    answers = ["ConditionalRequestConflict", "ConditionalRequestConflict"]

    def put(real=client.put_object, **arguments):
        if answers:
            raise ClientError({"Error": {"Code": answers.pop()}}, "PutObject")
        return real(**arguments)

    monkeypatch.setattr(client, "put_object", put)
    assert on_s3.create("key", b"data")


def test_a_file_is_put_and_read_as_parquet(storage):
    path = storage.scratch("r1") / "one.parquet"
    pq.write_table(pa.table({"a": [1, 2]}), path)
    storage.put_file(path, "tables/t/one.parquet")
    assert not path.exists()
    with storage.open("tables/t/one.parquet") as stream, pq.ParquetFile(stream) as file:
        assert file.read().num_rows == 2
    assert pq.read_table("one.parquet", filesystem=storage.arrow("tables/t")).num_rows == 2


def test_a_storage_travels_to_workers(storage):
    storage.write("key", b"1")
    assert pickle.loads(pickle.dumps(storage)).read("key") == b"1"


def test_scratch_of_a_killed_process_is_swept_and_of_a_living_one_is_not(on_s3, tmp_path, monkeypatch):
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    scratch._of_process.cache_clear()
    code = (
        "import os, tempfile; from carrel.ingest.store.scratch import scratch_folder as of;"
        "(of('r1') / 'patient').write_text('x'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], env={"TMPDIR": str(tmp_path)}, check=False)
    assert [path.name for path in tmp_path.rglob("patient")] == ["patient"]
    mine = on_s3.scratch("r2") / "mine"
    mine.write_text("x")
    assert list(tmp_path.rglob("patient")) == []
    living = "from carrel.ingest.store.scratch import scratch_folder as of; of('r3')"
    subprocess.run([sys.executable, "-c", living], env={"TMPDIR": str(tmp_path)}, check=True)
    assert mine.exists()
    scratch._of_process.cache_clear()


def test_endpoint_region_and_credentials_are_the_same_for_all_three(s3, monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session")
    access = s3_access()
    connection = access.connection("any")
    assert (connection.endpoint, connection.region, connection.key, connection.secret, connection.token) == (
        *(s3, "eu-west-2", "testing"),
        *("testing", "session"),
    )
    assert access.client.meta.region_name == "eu-west-2"
    options = connection.delta_options()
    assert options["aws_endpoint"] == s3
    assert options["aws_allow_http"] == "true"
    assert options["aws_session_token"] == "session"
    assert connection.arrow().region == "eu-west-2"


@pytest.mark.parametrize(
    ("set_to", "region"),
    [
        ({"AWS_REGION": "eu-north-1"}, "eu-north-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "eu-west-1"}, "eu-north-1"),
    ],
)
def test_both_names_of_the_region_are_known(s3, monkeypatch, set_to, region):
    monkeypatch.delenv("AWS_REGION")
    for name, value in set_to.items():
        monkeypatch.setenv(name, value)
    assert s3_access().connection("any").region == region


def test_the_endpoint_of_s3_alone_comes_first(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3)
    storage = open_storage(f"s3://{new_bucket(s3)}/w")
    storage.write("a", b"1")
    assert storage.open("a").read() == b"1"
    assert storage.delta_options()["aws_endpoint"] == s3


def test_aws_itself_has_no_endpoint_of_its_own(s3, monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert s3_access().endpoint is None
    assert not {"aws_endpoint", "aws_allow_http"} & set(s3_access().connection("any").delta_options())


def test_a_profile_is_as_good_as_the_environment(s3, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name)
    config = tmp_path / "config"
    config.write_text(
        f"[profile lab]\nregion = eu-west-3\nendpoint_url = {s3}\n"
        "aws_access_key_id = of-profile\naws_secret_access_key = s\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "lab")
    options = s3_access().connection("any").delta_options()
    assert options["aws_region"] == "eu-west-3"
    assert options["aws_access_key_id"] == "of-profile"
    assert options["aws_endpoint"] == s3


def test_health_data_does_not_travel_in_clear_by_mistake(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio.example:9000")
    with pytest.raises(WarehouseFault, match="not encrypted"):
        s3_access()
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    assert s3_access().endpoint == "http://minio.example:9000"


def test_what_keeps_s3_from_being_used_is_said_in_words(s3, monkeypatch):
    with pytest.raises(WarehouseFault, match="does not exist"):
        open_storage("s3://no-such-bucket/w").write("a", b"")
    with pytest.raises(WarehouseFault, match="does not exist"):
        open_storage("s3://no-such-bucket/w").read("a")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    storage = open_storage("s3://no-such-bucket/w")
    for use in (lambda: storage.read("a"), storage.delta_options):
        with pytest.raises(WarehouseFault, match="no AWS credentials"):
            use()


def test_a_server_that_is_not_there_is_said_in_words(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(WarehouseFault, match="cannot be reached"):
        open_storage("s3://some-bucket/w").read("a")


def test_sources_know_the_same_region(s3):
    assert Aws(attempts=7).client("sqs").meta.region_name == "eu-west-2"

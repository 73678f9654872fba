"""An S3 prefix, over HTTP: moto for what goes well, and a server of our own for what does not."""

import hashlib
import pickle
import threading
from contextlib import contextmanager

import pytest
from tests.support.http_server import Handler, serving

from carrel.ingest.aws_access import Aws
from carrel.ingest.sources import AccessRefused, ArchiveChanged, Source, SourceFault, Unavailable, s3, source_of
from carrel.ingest.values import ArchiveRef


def test_a_prefix_is_listed_page_by_page_and_read_with_its_metadata(aws, bucket, put, monkeypatch):
    for number in range(7):
        put(f"app/2024-01-01/record{number}", b"zip%d" % number, recordid=f"r{number}", ClientInfo="{}")
    put("app/x.json")
    put("app/owner.txt")
    put("app/folder/", b"")
    put("app/odd name+%é?#.zip", b"odd")
    put("other/y.zip")
    client = aws.client("s3")
    monkeypatch.setattr(client, "list_objects_v2", lambda real=client.list_objects_v2, **args: real(MaxKeys=3, **args))
    source = pickle.loads(pickle.dumps(source_of(f"s3://{bucket}/app/", aws)))
    assert isinstance(source, Source)
    with source:
        refs = list(source.list())
        assert len(refs) == 8
        assert refs[0].uri == f"s3://{bucket}/app/2024-01-01/record0"
        assert refs[0].etag == hashlib.md5(b"zip0").hexdigest()
        with source.open(refs[3]) as fetched:
            assert (fetched.data, fetched.metadata) == (b"zip3", {"recordid": "r3", "clientinfo": "{}"})
        with source.open(refs[7]) as fetched:
            assert (fetched.data, fetched.metadata) == (b"odd", None)
        source.acknowledge(refs)
        assert source.problems() == ()


def test_a_large_object_is_kept_in_a_file_as_long_as_it_is_open(aws, bucket, put, monkeypatch):
    monkeypatch.setattr(s3, "IN_MEMORY", 10)
    put("a", b"x" * 3_000_000)
    source = source_of(f"s3://{bucket}", aws)
    (ref,) = source.list()
    with source.open(ref) as fetched:
        assert fetched.data.read_bytes() == b"x" * 3_000_000
    assert not fetched.data.exists()


def test_an_object_that_changed_or_went_is_left_for_the_next_run(aws, bucket, put):
    put("a", b"one")
    source = source_of(f"s3://{bucket}/", aws)
    (ref,) = source.list()
    put("a", b"two")
    with pytest.raises(ArchiveChanged), source.open(ref):
        pass
    aws.client("s3").delete_object(Bucket=bucket, Key="a")
    with pytest.raises(ArchiveChanged), source.open(ref):
        pass


def test_places_that_are_none(aws):
    for url in ("s3:///key", "s3:bucket"):
        with pytest.raises(SourceFault, match="not a place in S3"):
            source_of(url, aws)
    with pytest.raises(SourceFault, match="does not exist"):
        list(source_of("s3://no-such-bucket-anywhere/", aws).list())


def test_no_credentials_is_said_in_words(moto_url, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(AccessRefused, match="no AWS credentials"):
        list(source_of("s3://b/", Aws(moto_url, "eu-west-1")).list())
    with pytest.raises(AccessRefused, match="no AWS credentials"):
        list(source_of("s3://b/", Aws(moto_url, "eu-west-1", profile="nobody")).list())


@contextmanager
def answering(answers):
    """A server that gives the answers (status, headers, body) in turn, the last for ever; `asked`: authorisations."""
    asked = []

    class Answers(Handler):
        def do_GET(self):
            asked.append(self.headers.get("Authorization", ""))
            status, headers, body = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send(status, body, headers)
            self.close_connection = True

    with serving(Answers) as url:
        yield url, asked


def error(code, status=403):
    return (status, {"Content-Type": "application/xml"}, f"<Error><Code>{code}</Code></Error>".encode())


EMPTY = (200, {}, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")


def opened(aws):
    with source_of("s3://b/", aws).open(ArchiveRef("s3://b/k", "e", 3)) as fetched:
        return fetched.data


def test_expired_credentials_are_looked_for_anew_once(aws, monkeypatch):
    answers = [error("ExpiredToken", 400), EMPTY]
    with answering(answers) as (url, asked):
        old = Aws(url, "us-east-1", attempts=1)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "first")
        old.client("s3")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "second")
        assert list(source_of("s3://b/", old).list()) == []
    assert "Credential=first/" in asked[0]
    assert "Credential=second/" in asked[1]


@pytest.mark.parametrize(
    ("answer", "fault", "said"),
    [
        (error("ExpiredToken", 400), AccessRefused, "have expired"),
        (error("AccessDenied"), AccessRefused, "AccessDenied"),
        (error("InternalError", 500), Unavailable, "InternalError"),
        (error("SlowDown", 503), Unavailable, "SlowDown"),
        (error("Strange", 400), SourceFault, "Strange"),
    ],
)
def test_what_s3_refuses_is_said_in_words(aws, answer, fault, said):
    with answering([answer]) as (url, _), pytest.raises(fault, match=said):
        opened(Aws(url, "us-east-1", attempts=2))


def test_a_5xx_is_tried_again(aws):
    with answering([error("InternalError", 500), (200, {}, b"zip")]) as (url, asked):
        assert opened(Aws(url, "us-east-1", attempts=3)) == b"zip"
    assert len(asked) == 2


def test_a_read_that_breaks_off_is_begun_again(aws):
    half = (200, {"Content-Length": "1000"}, b"half")
    with answering([half, (200, {}, b"zip")]) as (url, _):
        assert opened(Aws(url, "us-east-1")) == b"zip"
    with answering([half]) as (url, asked), pytest.raises(Unavailable, match="broken off 3 times"):
        opened(Aws(url, "us-east-1"))
    assert len(asked) == 3


def test_a_server_that_is_not_there(aws):
    with pytest.raises(Unavailable, match="cannot be reached"):
        opened(Aws("http://127.0.0.1:1", "us-east-1", attempts=1))


def test_a_slow_server_is_given_up(aws):
    waiting = threading.Event()

    class Slow(Handler):
        def do_GET(self):
            waiting.wait(30)

    with serving(Slow) as url:
        with pytest.raises(Unavailable, match="cannot be reached"):
            opened(Aws(url, "us-east-1", attempts=1, timeout=0.2))
        waiting.set()

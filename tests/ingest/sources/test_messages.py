"""What messages of Bridge, S3 and EventBridge name."""

import contextlib
import json
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.ingest.sources.messages import NotUnderstood, ObjectRef, may_be_an_archive, objects_of
from carrel.units.limits import MAX_MESSAGE_BYTES, MAX_MESSAGE_OBJECTS

BLOCK = {"parentProjectId": "syn1", "rawFolderId": "syn2", "fileEntityId": "syn3", "s3Bucket": "raw", "s3Key": "app/k"}
OTHER = {**BLOCK, "s3Bucket": "study's own", "s3Key": "not used"}
BRIDGE = {"appId": "a", "recordId": "r", "record": BLOCK, "studyRecords": {"one": OTHER, "two": OTHER}}


def s3_record(key="k", name="ObjectCreated:Put"):
    return {"eventName": name, "s3": {"bucket": {"name": "raw"}, "object": {"key": key}}}


AWS_EVENT = {
    "Records": [
        {
            "eventVersion": "2.2",
            "eventSource": "aws:s3",
            "awsRegion": "us-east-1",
            "eventTime": "2022-09-01T00:00:00.000Z",
            "eventName": "ObjectCreated:Put",
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "carrel",
                "bucket": {"name": "raw", "ownerIdentity": {"principalId": "A"}, "arn": "arn:aws:s3:::raw"},
                "object": {"key": "app/2022-09-01/Ab+%2B%C3%A9_-x", "size": 5, "eTag": "e", "sequencer": "00"},
            },
        }
    ]
}
"""As the S3 user guide shows it."""
MINIO_EVENT = {
    "EventName": "s3:ObjectCreated:Put",
    "Key": "raw/app/a b",
    "Records": [
        {
            "eventSource": "minio:s3",
            "eventName": "s3:ObjectCreated:Put",
            "s3": {"bucket": {"name": "raw"}, "object": {"key": "app%2Fa+b", "size": 5}},
        }
    ],
}
AWS_TEST_EVENT = {
    "Service": "Amazon S3",
    "Event": "s3:TestEvent",
    "Time": "2014-10-13T15:57:02.089Z",
    "Bucket": "raw",
    "RequestId": "5582815E1AEA5ADF",
    "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE",
}
EVENTBRIDGE = {
    "version": "0",
    "id": "17793124-05d4-b198-2fde-7ededc63b103",
    "detail-type": "Object Created",
    "source": "aws.s3",
    "resources": ["arn:aws:s3:::raw"],
    "detail": {
        "version": "0",
        "bucket": {"name": "raw"},
        "object": {"key": "app/a+b%20c", "size": 5, "etag": "e"},
        "reason": "PutObject",
    },
}
"""Keys are not escaped here."""


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (BRIDGE, [("raw", "app/k")]),
        ({"Records": [s3_record("a+b%2Bc/%C3%A9")]}, [("raw", "a b+c/é")]),
        ({"Records": [s3_record("1"), s3_record("2"), s3_record("1")]}, [("raw", "1"), ("raw", "2")]),
        ({"Records": [s3_record(name="s3:ObjectCreated:Put")]}, [("raw", "k")]),
        ({"Records": [s3_record(name="s3:ObjectCreated:CompleteMultipartUpload")]}, [("raw", "k")]),
        ({"Records": [s3_record(name="ObjectCreated:Copy")]}, [("raw", "k")]),
        ({"Records": [s3_record(name="ObjectRemoved:Delete")]}, []),
        ({"Records": [s3_record(name="s3:ObjectRemoved:DeleteMarkerCreated")]}, []),
        ({"Records": [s3_record(name="ObjectTagging:Put")]}, []),
        (
            {"Records": [s3_record("a/owner.txt"), s3_record("a/m.json"), s3_record("a/"), s3_record("b/k")]},
            [("raw", "b/k")],
        ),
        (AWS_EVENT, [("raw", "app/2022-09-01/Ab +é_-x")]),
        (MINIO_EVENT, [("raw", "app/a b")]),
        (AWS_TEST_EVENT, []),
        (EVENTBRIDGE, [("raw", "app/a+b%20c")]),
        (
            {
                "source": "aws.s3",
                "detail-type": "Object Created",
                "detail": {"bucket": {"name": "raw"}, "object": {"key": "a+b"}},
            },
            [("raw", "a+b")],
        ),
        ({"source": "aws.s3", "detail-type": "Object Deleted", "detail": {}}, []),
    ],
)
def test_what_is_understood_with_or_without_an_envelope(message, expected):
    wanted = tuple(ObjectRef(*each) for each in expected)
    assert objects_of(json.dumps(message)) == wanted
    assert objects_of(json.dumps({"Type": "Notification", "Message": json.dumps(message)})) == wanted


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"Message": "no JSON"}',
        '{"Message": null}',
        '{"record": {}}',
        '{"record": {"s3Bucket": "", "s3Key": "k"}}',
        '{"record": {"s3Bucket": "b", "s3Key": 3}}',
        '{"Records": [1]}',
        '{"Records": [{"eventName": "ObjectCreated:Put"}]}',
        '{"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": 1, "object": {"key": 1}}}]}',
        '{"source": "aws.s3", "detail-type": "Object Created"}',
    ],
)
def test_what_is_not_understood(body):
    with pytest.raises(NotUnderstood):
        objects_of(body)


anything = st.recursive(
    st.none() | st.integers() | st.sampled_from(["Records", "x", "aws.s3", "Object Created"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Records", "record", "Message", "s3", "source", "detail-type", "detail"]), inner
        )
    ),
    max_leaves=8,
)


@given(anything)
def test_no_message_can_do_harm(value):
    with contextlib.suppress(NotUnderstood):
        assert isinstance(objects_of(json.dumps(value)), tuple)


@pytest.mark.parametrize(
    ("bucket", "key"),
    [
        ("raw", "in/\ud800"),
        ("raw", "x" * 1_025),
        ("raw", "é" * 513),
        ("raw", "a\0b"),
        ("\ud800", "k"),
        ("arn:aws:s3:us-east-1:123456789012:accesspoint/theirs", "k"),
        ("raw/../other", "k"),
        ("https://example.org", "k"),
        ("r" * 300, "k"),
    ],
)
@pytest.mark.parametrize("form", ["bridge", "s3", "eventbridge"])
def test_names_that_s3_cannot_have_are_the_fault_of_their_message(form, bucket, key):
    about = {"bucket": {"name": bucket}, "object": {"key": quote_plus(key, errors="surrogatepass")}}
    body = {
        "bridge": {"record": {"s3Bucket": bucket, "s3Key": key}},
        "s3": {"Records": [{"eventName": "ObjectCreated:Put", "s3": about}]},
        "eventbridge": {
            "source": "aws.s3",
            "detail-type": "Object Created",
            "detail": {"bucket": {"name": bucket}, "object": {"key": key}},
        },
    }[form]
    if form == "s3" and "\ud800" in key:
        about["object"]["key"] = key
    for text in (json.dumps(body), json.dumps({"Message": json.dumps(body)})):
        with pytest.raises(NotUnderstood):
            objects_of(text)


def test_messages_are_read_up_to_a_length_and_a_number_of_objects():
    whole = json.dumps({"record": BLOCK})
    assert objects_of(whole + " " * (MAX_MESSAGE_BYTES - len(whole)))
    with pytest.raises(NotUnderstood, match="longer than"):
        objects_of(whole + " " * (MAX_MESSAGE_BYTES - len(whole) + 1))
    records = [s3_record(f"k{number}") for number in range(MAX_MESSAGE_OBJECTS)]
    assert len(objects_of(json.dumps({"Records": records}))) == MAX_MESSAGE_OBJECTS
    with pytest.raises(NotUnderstood, match="more than"):
        objects_of(json.dumps({"Records": [*records, s3_record("one more")]}))


@pytest.mark.parametrize(
    ("key", "size", "expected"),
    [
        ("a/rec1-uuid", 5, True),
        ("a/REC.ZIP", 5, True),
        ("a/rec.JSON", 5, False),
        ("a/Owner.txt", 5, False),
        ("a/.DS_Store", 5, False),
        ("__MACOSX/._rec", 5, False),
        ("a/__MACOSX/rec.zip", 5, False),
        ("a/__MACOSX", 5, True),
        ("a/._rec", 5, True),
        ("a/folder/", 0, False),
    ],
)
def test_what_may_be_an_archive(key, size, expected):
    """A name that only looks like a Mac's may be a record's; its first bytes tell (tests/ingest/run)."""
    assert may_be_an_archive(key, size) is expected

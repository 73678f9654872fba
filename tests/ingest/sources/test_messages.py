"""What messages of Bridge, S3 and EventBridge name."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.ingest.sources.messages import NotUnderstood, ObjectRef, objects_of

BLOCK = {"parentProjectId": "syn1", "rawFolderId": "syn2", "fileEntityId": "syn3", "s3Bucket": "raw", "s3Key": "app/k"}
OTHER = {**BLOCK, "s3Bucket": "study's own", "s3Key": "not used"}
BRIDGE = {"appId": "a", "recordId": "r", "record": BLOCK, "studyRecords": {"one": OTHER, "two": OTHER}}


def s3_record(key="k", name="ObjectCreated:Put"):
    return {"eventName": name, "s3": {"bucket": {"name": "raw"}, "object": {"key": key}}}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (BRIDGE, [("raw", "app/k")]),
        ({"Records": [s3_record("a+b%2Bc/%C3%A9")]}, [("raw", "a b+c/é")]),
        ({"Records": [s3_record("1"), s3_record("2"), s3_record("1")]}, [("raw", "1"), ("raw", "2")]),
        ({"Records": [s3_record(name="ObjectRemoved:Delete")]}, []),
        ({"Event": "s3:TestEvent", "Bucket": "raw"}, []),
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

"""What a queue may hold: the forms of section 1.2 and of AWS, and all that is neither."""

import json
from contextlib import suppress
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.ingest.aws.messages import Notice, notices_of
from carrel.ingest.aws.work import SINCE, TRIED, WAITS, Delivery, StudyPipeline, read_request, slices
from carrel.ingest.sources.messages import NotUnderstood, may_be_an_archive
from carrel.ingest.values import ArchiveRef

BLOCK = {
    "parentProjectId": "syn1",
    "rawFolderId": "syn2",
    "fileEntityId": "syn3",
    "s3Bucket": "raw",
    "s3Key": "mobile-toolbox/2022-09-01/_abc-123",
}
OTHER = {**BLOCK, "s3Bucket": "elsewhere", "s3Key": "not/this"}
BRIDGE = {
    "appId": "mobile-toolbox",
    "recordId": "_abc",
    "record": BLOCK,
    "studyRecords": {"cxhnxd": OTHER, "htshxm": OTHER},
}


def enveloped(message: object) -> str:
    return json.dumps({"Type": "Notification", "TopicArn": "arn:x", "Message": json.dumps(message)})


def s3_event(key: str, name: str = "ObjectCreated:Put") -> dict[str, object]:
    made = {"key": quote_plus(key, safe="/"), "size": 5, "eTag": "e"}
    return {
        "Records": [{"eventSource": "aws:s3", "eventName": name, "s3": {"bucket": {"name": "raw"}, "object": made}}]
    }


@pytest.mark.parametrize("body", [enveloped(BRIDGE), json.dumps(BRIDGE)])
def test_bridge_messages_name_studies_and_the_app_level_archive(body):
    (notice,) = notices_of(body)
    assert notice == Notice(
        bucket="raw",
        key="mobile-toolbox/2022-09-01/_abc-123",
        studies=frozenset({"cxhnxd", "htshxm"}),
        app="mobile-toolbox",
    )
    assert notice.uri == "s3://raw/mobile-toolbox/2022-09-01/_abc-123"


keys = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)


@pytest.mark.parametrize("wrap", [enveloped, json.dumps])
@given(key=keys.filter(lambda key: may_be_an_archive(key, 5)))
def test_events_of_s3_give_the_key_as_it_is(wrap, key):
    (notice,) = notices_of(wrap(s3_event(key)))
    assert (notice.bucket, notice.key, notice.studies) == ("raw", key, None)


def test_events_of_eventbridge_do_not_encode_the_key():
    detail = {"bucket": {"name": "raw"}, "object": {"key": "a+b%20c", "etag": "e", "size": 3}}
    event = {"source": "aws.s3", "detail-type": "Object Created", "detail": detail}
    assert notices_of(json.dumps(event)) == (Notice("raw", "a+b%20c"),)
    assert notices_of(json.dumps({**event, "detail-type": "Object Deleted"})) == ()


@pytest.mark.parametrize("body", [{"Event": "s3:TestEvent", "Bucket": "raw"}, s3_event("k", "ObjectRemoved:Delete")])
def test_what_tells_of_no_new_archive_asks_for_nothing(body):
    assert notices_of(json.dumps(body)) == ()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "neither"),
        (json.dumps({"Message": "hello"}), "not JSON"),
        (json.dumps({**BRIDGE, "studyRecords": {}}), "no study"),
        (json.dumps({**BRIDGE, "studyRecords": ["a"]}), "no study"),
        (json.dumps({**BRIDGE, "record": {**BLOCK, "s3Key": ""}}), "no bucket and key"),
    ],
)
def test_what_is_no_message_is_said_without_quoting_it(body, said):
    with pytest.raises(NotUnderstood, match=said):
        notices_of(body)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5), st.text())
def test_whatever_comes_is_read_or_refused(value, name):
    body = json.dumps({name: value, "Records": value, "record": value, "studyRecords": value})
    with suppress(NotUnderstood):
        notices_of(body)


STUDIES = {
    "cxhnxd": StudyPipeline("cxhnxd", "/w/c", "mobile-toolbox"),
    "zzz": StudyPipeline("zzz", "/w/z", "mobile-toolbox"),
}


def read(body: object, studies=STUDIES):
    return read_request(Delivery(message_id="m", receipt="r", receives=1, body=json.dumps(body)), studies)


def test_a_delivery_needs_its_archive_in_each_study_of_ours():
    uri = "s3://raw/mobile-toolbox/2022-09-01/_abc-123"
    assert read(BRIDGE).notices.keys() == {("cxhnxd", uri)}
    both = {**STUDIES, "htshxm": StudyPipeline("htshxm", "/w/h")}
    assert read(BRIDGE, both).notices.keys() == {("cxhnxd", uri), ("htshxm", uri)}


def test_a_message_for_nobody_here_is_not_settled_in_silence():
    assert "no study" in (read({**BRIDGE, "studyRecords": {"other": OTHER}}).reason or "")
    assert "no study" in (read({**BRIDGE, "appId": "another"}).reason or "")


def test_an_event_that_names_no_study_is_for_the_only_one():
    only = {"zzz": STUDIES["zzz"]}
    assert read(s3_event("k"), only).notices.keys() == {("zzz", "s3://raw/k")}
    assert "serves several" in (read(s3_event("k")).reason or "")


@given(st.lists(st.integers(1, 12), max_size=40), st.integers(1, 50))
def test_slices_hold_every_archive_once_and_shrink_when_they_come_again(receives, most):
    archives = [(ArchiveRef(f"s3://b/{number}", "e"), count) for number, count in enumerate(receives)]
    made = list(slices(archives, most))
    assert sorted(ref.uri for part in made for ref in part) == sorted(ref.uri for ref, _ in archives)
    counts = {ref.uri: count for ref, count in archives}
    for part in made:
        assert len(part) <= max(1, most // 8 ** (max(counts[ref.uri] for ref in part) - 1))


NONSENSE = ("x", "", None, "-1", "nan", "inf", "1e400", "9" * 400, "1.5")


@pytest.mark.parametrize("text", NONSENSE)
def test_attributes_that_say_nonsense_are_not_believed(text):
    """Whoever may send to the queue may write any; a delivery that raised would bring its whole batch back for ever."""
    ours = {name: {"stringValue": text} for name in (WAITS, SINCE, TRIED)}
    record = {"messageId": "m", "body": "{}", "attributes": {"SentTimestamp": "1700000000000"}}
    delivery = Delivery.from_record({**record, "messageAttributes": ours})
    assert 1 <= delivery.receives <= 2
    assert 0 <= delivery.waits <= 1
    assert 0 <= delivery.since <= 1_700_000_000
    told = {"ApproximateReceiveCount": text, "SentTimestamp": text}
    assert Delivery.from_record({**record, "attributes": told}).receives == 1
    assert Delivery.from_record({"messageId": "m", "messageAttributes": None, "attributes": None}).body == ""


def test_a_wait_is_no_longer_than_since_it_was_sent():
    ours = {SINCE: {"stringValue": "1800000000"}}
    record = {"messageId": "m", "body": "{}", "attributes": {"SentTimestamp": "1700000000000"}}
    assert Delivery.from_record({**record, "messageAttributes": ours}).since == 1_700_000_000

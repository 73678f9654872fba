"""Queues of S3 events and Bridge's messages, through SNS and SQS of moto's server over HTTP."""

import json
import pickle
import threading
import time

import pytest

from carrel.ingest.sources import Source, SourceFault, source_of
from carrel.ingest.sources.sqs import SqsSource


def attributes(aws, queue):
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return tuple(int(found[name]) for name in names)


def keys(refs):
    return [ref.uri.rpartition("/")[2] for ref in refs]


def bodies(aws, queue):
    found = aws.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    return [each["Body"] for each in found]


def test_messages_are_deleted_when_their_archives_are_dealt_with(aws, queue, put, send):
    for number in range(23):
        put(f"k{number}", b"zip%d" % number, recordid=f"r{number}")
        send(f"k{number}")
    with source_of(f"sqs:{queue}", aws, batch=25) as source:
        assert isinstance(source, Source)
        refs = list(source.list())
        assert sorted(keys(refs)) == sorted(f"k{number}" for number in range(23))
        assert refs[0].metadata == {"recordid": refs[0].uri.rpartition("/")[2].replace("k", "r")}
        with pickle.loads(pickle.dumps(source)).open(refs[0]) as fetched:
            assert fetched.data.startswith(b"zip")
        assert attributes(aws, queue) == (0, 23)
        source.acknowledge(refs[:20])
        source.acknowledge(refs[:20])
        assert attributes(aws, queue) == (0, 3)
    assert attributes(aws, queue) == (3, 0), "what was not dealt with is given back at once"
    with source_of(f"sqs:{queue}", aws) as source:
        assert len(list(source.list())) == 3


def test_a_list_takes_no_more_than_a_batch(aws, queue, put, send):
    for number in range(15):
        put(f"k{number}")
        send(f"k{number}")
    with SqsSource(queue, aws, batch=12) as source:
        assert len(list(source.list())) == 12
        assert len(list(source.list())) == 3
        assert list(source.list()) == []


def test_messages_through_sns(aws, queue, bucket, put):
    put("k", b"zip")
    sns = aws.client("sns")
    topic = sns.create_topic(Name="exports")["TopicArn"]
    arn = aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    block = {"s3Bucket": bucket, "s3Key": "k"}
    message = {"appId": "a", "recordId": "r", "record": block, "studyRecords": {"s": block}}
    sns.publish(TopicArn=topic, Message=json.dumps(message))
    with SqsSource(queue, aws) as source:
        refs = list(source.list())
        assert keys(refs) == ["k"]
        source.acknowledge(refs)
    assert attributes(aws, queue) == (0, 0)


def s3_event(bucket, *names, event="ObjectCreated:Put"):
    record = [{"eventName": event, "s3": {"bucket": {"name": bucket}, "object": {"key": name}}} for name in names]
    return json.dumps({"Records": record})


def test_a_message_of_several_archives_waits_for_all_of_them(aws, queue, bucket, put, send):
    put("one")
    put("two")
    send(body=s3_event(bucket, "one", "two"))
    with SqsSource(queue, aws) as source:
        one, two = source.list()
        source.acknowledge([one])
        assert attributes(aws, queue) == (0, 1)
        source.acknowledge([two])
        assert attributes(aws, queue) == (0, 0)


def test_a_message_about_nothing_is_done_at_once(aws, queue, bucket, send):
    send(body='{"Event": "s3:TestEvent"}')
    send(body=s3_event(bucket, "gone", event="ObjectRemoved:Delete"))
    send(body=s3_event(bucket, "gone", event="s3:ObjectRemoved:Delete"))
    send(body=s3_event(bucket, "folder/owner.txt"))
    with SqsSource(queue, aws) as source:
        assert list(source.list()) == []
        assert source.problems() == ()
    assert attributes(aws, queue) == (0, 0)


def test_minio_names_events_with_a_prefix(aws, queue, bucket, put, send):
    put("a b+c", b"zip")
    send(body=s3_event(bucket, "a+b%2Bc", event="s3:ObjectCreated:Put"))
    with SqsSource(queue, aws) as source:
        assert keys(source.list()) == ["a%20b+c"]


def test_what_cannot_be_understood_is_reported_and_stays(aws, queue, put, send, bucket):
    put("good")
    send("good")
    send("gone")
    send(body="secret nonsense")
    send(body=s3_event(bucket, "good", "gone"))
    with SqsSource(queue, aws) as source:
        refs = list(source.list())
        assert keys(refs) == ["good", "good"]
        assert sorted(each.fault.keyword for each in source.problems()) == ["message", "object", "object"]
        assert "secret" not in str(source.problems())
        source.acknowledge(refs)
    assert attributes(aws, queue) == (3, 0)


def test_what_cannot_be_understood_goes_to_the_invalid_queue(aws, queue, put, send):
    invalid = aws.client("sqs").create_queue(QueueName=f"{queue.rpartition('/')[2]}-invalid")["QueueUrl"]
    put("good")
    send("good")
    send(body="nonsense")
    with SqsSource(queue, aws, invalid_queue_url=invalid) as source:
        refs = list(source.list())
        assert keys(refs) == ["good"]
        assert len(source.problems()) == 1
        source.acknowledge(refs)
    assert attributes(aws, queue) == (0, 0)
    assert bodies(aws, invalid) == ["nonsense"]


def test_a_message_that_comes_again_and_again_is_poison(aws, queue, put, send):
    invalid = aws.client("sqs").create_queue(QueueName=f"{queue.rpartition('/')[2]}-poison")["QueueUrl"]
    put("k")
    send("k")
    for _ in range(2):
        with SqsSource(queue, aws, max_receives=2) as source:
            assert keys(source.list()) == ["k"]
    with SqsSource(queue, aws, max_receives=2, visibility=1) as source:
        assert list(source.list()) == []
        assert [each.fault.keyword for each in source.problems()] == ["poison"]
    with SqsSource(queue, aws, max_receives=2, invalid_queue_url=invalid, visibility=1) as source:
        deadline = time.monotonic() + 60
        while not list(source.list()) and not source.problems():
            assert time.monotonic() < deadline
        assert [each.fault.keyword for each in source.problems()] == ["poison"]
    assert len(bodies(aws, invalid)) == 1


def test_the_heartbeat_keeps_messages_while_they_are_worked_on(aws, queue, put, send):
    put("k")
    send("k")
    client = aws.client("sqs")
    beats = threading.Semaphore(0)
    real = client.change_message_visibility_batch

    def counted(**args):
        answer = real(**args)
        beats.release()
        return answer

    client.change_message_visibility_batch = counted
    try:
        with SqsSource(queue, aws, visibility=1) as source:
            refs = list(source.list())
            for _ in range(6):
                assert beats.acquire(timeout=30)
            assert attributes(aws, queue) == (0, 1), "two seconds on, it is still ours"
            source.acknowledge(refs)
    finally:
        client.change_message_visibility_batch = real
    assert attributes(aws, queue) == (0, 0)


def test_a_heartbeat_that_fails_does_not_end_the_run(aws, queue, put, send, monkeypatch):
    put("k")
    send("k")
    failed = threading.Event()
    with SqsSource(queue, aws, visibility=1) as source:
        refs = list(source.list())

        def failing(messages, seconds):
            failed.set()
            raise SourceFault("no")

        monkeypatch.setattr(source, "_extend", failing)
        assert failed.wait(30)
        monkeypatch.undo()
        source.acknowledge(refs)


def test_what_is_no_queue(aws, queue):
    with SqsSource(queue + "-none", aws) as source, pytest.raises(SourceFault, match="does not exist"):
        list(source.list())


def test_only_its_own_archives_can_be_acknowledged(aws, queue, put, bucket):
    put("k")
    refs = list(source_of(f"s3://{bucket}/", aws).list())
    with SqsSource(queue, aws) as source, pytest.raises(SourceFault, match="did not come from this queue"):
        source.acknowledge(refs)


def poison(bucket):
    """Bodies that name nothing that S3 can have, or nothing at all."""
    block = {"s3Bucket": bucket, "s3Key": "in/\ud800"}
    return [
        json.dumps({"record": block}),
        json.dumps({"Message": json.dumps({"record": block})}),
        json.dumps({"record": {"s3Bucket": "no/such\\bucket", "s3Key": "k"}}),
        json.dumps({"record": {"s3Bucket": "arn:aws:s3:us-east-1:1:accesspoint/x", "s3Key": "k"}}),
        json.dumps({"record": {"s3Bucket": bucket, "s3Key": "k" * 2_000}}),
        json.dumps({"record": {"s3Bucket": bucket}}),
        json.dumps({"record": {}}),
        json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": {}}]}),
        json.dumps({"Records": [None]}),
        json.dumps({"Records": [{"s3": {"bucket": {"name": bucket}, "object": {"key": "k"}}}]}),
        json.dumps({"source": "aws.s3", "detail": {"bucket": {"name": bucket}, "object": {"key": "k"}}}),
        json.dumps({"Records": [{"eventName": ["ObjectCreated:Put"], "s3": {"bucket": [], "object": 1}}]}),
        json.dumps({"Message": ["no text"]}),
        "[" * 100_000,
        '{"a":' * 50_000,
        "9" * 10_000,
        "x" * 250_000,
        "{}",
        "null",
    ]


@pytest.mark.parametrize("has_invalid_queue", [False, True])
def test_one_messages_fault_is_that_messages(aws, queue, bucket, put, send, has_invalid_queue):
    """The good ones are listed although more bad ones than a batch came before them."""
    name = f"{queue.rpartition('/')[2]}-invalid"
    invalid = aws.client("sqs").create_queue(QueueName=name)["QueueUrl"] if has_invalid_queue else None
    bodies = poison(bucket)
    for body in bodies:
        send(body=body)
    for number in range(3):
        put(f"good{number}", recordid=f"r{number}")
        send(f"good{number}")
    with SqsSource(queue, aws, batch=5, invalid_queue_url=invalid) as source:
        refs = list(source.list())
        assert sorted(keys(refs)) == ["good0", "good1", "good2"]
        assert len(source.problems()) == len(bodies)
        for each in source.problems():
            each.uri.encode()
        source.acknowledge(refs)
    left = 0 if has_invalid_queue else len(bodies)
    assert attributes(aws, queue) == (left, 0)
    if invalid:
        assert attributes(aws, invalid) == (len(bodies), 0)


def test_an_object_that_these_credentials_may_not_see_holds_nothing_up(aws, queue, put, send, monkeypatch):
    from botocore.exceptions import ClientError

    for name in ("secret", "good"):
        put(name)
        send(name)
    real = aws.client("s3").head_object

    def head_object(Bucket, Key):
        if Key == "secret":
            told = {"Error": {"Code": "403", "Message": "Forbidden"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(told, "HeadObject")
        return real(Bucket=Bucket, Key=Key)

    monkeypatch.setattr(aws.client("s3"), "head_object", head_object)
    invalid = aws.client("sqs").create_queue(QueueName=f"{queue.rpartition('/')[2]}-invalid")["QueueUrl"]
    with SqsSource(queue, aws, invalid_queue_url=invalid) as source:
        refs = list(source.list())
        assert keys(refs) == ["good"]
        assert [each.fault.keyword for each in source.problems()] == ["refused"]
        source.acknowledge(refs)
    assert attributes(aws, queue) == (1, 0), "permissions may be mended, so it stays"
    assert attributes(aws, invalid) == (0, 0)


def test_an_invalid_queue_that_takes_nothing_leaves_the_message_and_the_run(aws, queue, put, send):
    put("good")
    send(body="secret nonsense")
    send("good")
    with SqsSource(queue, aws, invalid_queue_url=f"{queue}-that-is-not-there") as source:
        refs = list(source.list())
        assert keys(refs) == ["good"]
        assert len(source.problems()) == 1
        source.acknowledge(refs)
    assert attributes(aws, queue) == (1, 0)

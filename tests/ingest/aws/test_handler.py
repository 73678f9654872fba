"""The Lambda as AWS drives it: messages through SNS and SQS of moto's server, archives in its S3, the real engine."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from tests.support.lambda_runtime import as_lambda_has_it, bridge_message

from carrel.ingest.aws import handler, ingester
from carrel.ingest.aws.artifacts import upload
from carrel.ingest.aws.batch import BatchHandler
from carrel.ingest.aws.queue import LONGEST_IN_ALL, MOST_TRIED, Queue
from carrel.ingest.aws.work import Busy, Delivery, StudyPipeline
from carrel.ingest.aws_access import Aws
from carrel.ingest.store import coordinator_lock, open_storage
from carrel.ingest.store.ledger import Ledger
from carrel.synthetic import Knobs, generate
from carrel.telemetry import faults

MADE = list(generate(Knobs(seed=4, records=4, shapes={"task": 1.0}, android=0.0)))
APP = "mobile-toolbox"


class Pipeline:
    """A topic, a queue subscribed to it, and the function between the queue and a warehouse."""

    def __init__(self, warehouse: str, **variables: str):
        self.sns, self.sqs, self.s3 = (boto3.client(name) for name in ("sns", "sqs", "s3"))
        self.topic = self.sns.create_topic(Name="uploads")["TopicArn"]
        self.queue = self.sqs.create_queue(QueueName="study", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
        self.invalid = self.sqs.create_queue(QueueName="study-invalid")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = {"studyRecords": {"one": {"s3Key": [{"exists": True}]}}}
        self.sns.subscribe(
            TopicArn=self.topic,
            Protocol="sqs",
            Endpoint=arn,
            Attributes={"FilterPolicyScope": "MessageBody", "FilterPolicy": json.dumps(policy)},
        )
        self.warehouse = warehouse
        studies = json.dumps([{"name": "one", "app": APP, "warehouse": warehouse}])
        self.variables = {"INGEST_STUDIES": studies, "INGEST_INVALID_QUEUE_URL": self.invalid, **variables}

    def put(self, made, key: str) -> str:
        self.s3.put_object(Bucket="raw", Key=key, Body=made.data, Metadata=dict(made.metadata))
        return key

    def publish(self, key: str, *studies: str) -> None:
        """As section 1.2 has it."""
        self.sns.publish(TopicArn=self.topic, Message=bridge_message(APP, "raw", key, studies))

    def invoke(self, monkeypatch: pytest.MonkeyPatch, seconds: float = 600) -> list[str]:
        """One poll of the event source: receive, call, delete what did not fail. The ids that failed."""
        return self.handle(monkeypatch, self.event(), seconds)

    def handle(self, monkeypatch: pytest.MonkeyPatch, event: dict, seconds: float = 600) -> list[str]:
        for name, value in self.variables.items():
            monkeypatch.setenv(name, value)
        handler.batch_handler.cache_clear()
        context = SimpleNamespace(get_remaining_time_in_millis=lambda: int(seconds * 1000))
        answer = handler.handle(event, context)
        failed = [each["itemIdentifier"] for each in answer["batchItemFailures"]]
        for record in event["Records"]:
            if record["messageId"] not in failed:
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=record["receiptHandle"])
        return failed

    def event(self) -> dict:
        got = self.sqs.receive_message(
            QueueUrl=self.queue, MaxNumberOfMessages=10, AttributeNames=["All"], MessageAttributeNames=["All"]
        )
        return {"Records": [as_lambda_has_it(each) for each in got.get("Messages", ())]}

    def ledger(self) -> dict[str, str]:
        lines = Ledger(open_storage(self.warehouse)).lines()
        return {line.entry.archive_uri: line.entry.disposition.value for line in lines}

    def waiting(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)["Attributes"]
        return sum(int(count) for count in found.values())

    def invalid_messages(self) -> list[dict]:
        got = self.sqs.receive_message(
            QueueUrl=self.invalid, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=0
        )
        return got.get("Messages", [])


@pytest.fixture
def pipeline(bucket, tmp_path: Path) -> Pipeline:
    return Pipeline(str(tmp_path / "warehouse"))


def test_archives_that_bridge_tells_of_are_in_the_ledger_and_their_messages_gone(pipeline, monkeypatch):
    keys = [pipeline.put(made, f"{APP}/2022-09-01/_rec {number}") for number, made in enumerate(MADE)]
    for key in keys:
        pipeline.publish(key, "one", "two")
    pipeline.publish(keys[0], "two")
    assert pipeline.waiting() == len(keys), "the filter keeps other studies' messages away"
    assert pipeline.invoke(monkeypatch) == []
    assert pipeline.waiting() == 0
    ledger = pipeline.ledger()
    assert len(ledger) == len(keys)
    assert set(ledger.values()) <= {"ingested", "partial", "quarantined"}


def test_the_same_messages_again_change_nothing(pipeline, monkeypatch):
    key = pipeline.put(MADE[0], f"{APP}/a")
    pipeline.publish(key, "one")
    assert pipeline.invoke(monkeypatch) == []
    before = pipeline.ledger()
    pipeline.publish(key, "one")
    pipeline.publish(key, "one")
    assert pipeline.invoke(monkeypatch) == []
    assert pipeline.waiting() == 0
    assert pipeline.ledger() == before


def test_a_warehouse_in_s3_and_a_mapping_from_the_artifacts(bucket, monkeypatch, tmp_path):
    folder = tmp_path / "mapping"
    folder.mkdir()
    (folder / "mapping.yaml").write_text("{}\n")
    upload(boto3.client("s3"), "raw", "main", {"mapping": folder})
    pipeline = Pipeline("s3://raw/warehouse/ns/app/one", INGEST_MAPPING="s3://raw/Carrel/main/mapping")
    pipeline.publish(pipeline.put(MADE[0], f"{APP}/a"), "one")
    assert pipeline.invoke(monkeypatch) == []
    assert list(pipeline.ledger()) == [f"s3://raw/{APP}/a"]


def test_events_of_s3_itself(pipeline, monkeypatch):
    pipeline.put(MADE[0], f"{APP}/a b+c")
    made = {"bucket": {"name": "raw"}, "object": {"key": f"{APP}/a+b%2Bc", "size": 1, "eTag": "old"}}
    event = {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": made}]}
    pipeline.sqs.send_message(QueueUrl=pipeline.queue, MessageBody=json.dumps(event))
    pipeline.sqs.send_message(QueueUrl=pipeline.queue, MessageBody=json.dumps({"Event": "s3:TestEvent"}))
    assert pipeline.invoke(monkeypatch) == []
    assert (pipeline.waiting(), len(pipeline.ledger())) == (0, 1)


def test_poison_does_not_hold_the_rest_and_ends_in_the_invalid_queue(pipeline, monkeypatch):
    good = pipeline.put(MADE[0], f"{APP}/good")
    pipeline.sqs.send_message(QueueUrl=pipeline.queue, MessageBody="{broken")
    pipeline.publish(f"{APP}/not-there", "one")
    pipeline.publish(good, "one")
    assert len(pipeline.invoke(monkeypatch)) == 2
    assert list(pipeline.ledger()) == [f"s3://raw/{good}"]
    assert pipeline.invalid_messages() == []
    assert len(pipeline.invoke(monkeypatch)) == 2
    assert pipeline.invoke(monkeypatch) == []
    assert pipeline.waiting() == 0
    reasons = sorted(each["MessageAttributes"]["reason"]["StringValue"] for each in pipeline.invalid_messages())
    assert reasons == ["the archive is not in the bucket", "the message is not JSON"]
    assert "{broken" in [each["Body"] for each in pipeline.invalid_messages()]


def test_an_unreadable_archive_is_quarantined_and_not_poison(pipeline, monkeypatch):
    pipeline.s3.put_object(Bucket="raw", Key=f"{APP}/a", Body=b"no zip", Metadata=dict(MADE[0].metadata))
    pipeline.publish(f"{APP}/a", "one")
    assert pipeline.invoke(monkeypatch) == []
    assert list(pipeline.ledger().values()) == ["unreadable"]


def test_while_another_commits_the_messages_stay(pipeline, monkeypatch):
    pipeline.publish(pipeline.put(MADE[0], f"{APP}/a"), "one")
    with coordinator_lock(open_storage(pipeline.warehouse)):
        assert len(pipeline.invoke(monkeypatch)) == 1
    assert pipeline.invoke(monkeypatch) == []
    assert len(pipeline.ledger()) == 1


@pytest.fixture
def held(pipeline, monkeypatch, bucket) -> Pipeline:
    """A pipeline whose warehouse is in S3, whose messages are dead letters at the third delivery, and never delayed."""
    dead = pipeline.sqs.create_queue(QueueName="study-dead")["QueueUrl"]
    arn = pipeline.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    pipeline.sqs.set_queue_attributes(QueueUrl=pipeline.queue, Attributes={"RedrivePolicy": policy})
    pipeline.variables["INGEST_QUEUE_URL"] = pipeline.queue
    pipeline.warehouse = "s3://raw/warehouse/one"
    studies = [{"name": "one", "app": APP, "warehouse": pipeline.warehouse}]
    pipeline.variables["INGEST_STUDIES"] = json.dumps(studies)
    monkeypatch.setattr("carrel.ingest.aws.queue.FIRST_WAIT", 0)
    return pipeline


def test_waiting_for_another_lambda_however_often_brings_nothing_to_the_dead_letters(held, monkeypatch, capsys):
    for number in range(2):
        held.publish(held.put(MADE[number], f"{APP}/{number}"), "one")
    with coordinator_lock(open_storage(held.warehouse)):
        for _ in range(8):
            assert held.invoke(monkeypatch) == []
            assert held.waiting() == 2
    assert '"waiting": 2' in capsys.readouterr().out
    deliveries = [Delivery.from_record(record) for record in held.event()["Records"]]
    assert [(each.receives, each.waits) for each in deliveries] == [(1, 8)] * 2
    assert held.invoke(monkeypatch) == []
    assert (held.waiting(), len(held.ledger())) == (0, 2)


def test_of_two_lambdas_at_once_one_commits_and_the_other_s_messages_wait(held, monkeypatch):
    """The first is stopped where it has just taken the warehouse, until the second is done."""
    for number in range(2):
        held.publish(held.put(MADE[number], f"{APP}/{number}"), "one")
    one, two = ({"Records": [record]} for record in held.event()["Records"])
    has_it, is_done = threading.Event(), threading.Event()

    def stop(name: str) -> None:
        if name == "ingest.locked":
            has_it.set()
            assert is_done.wait(30)

    with ThreadPoolExecutor(1) as first:
        faults.on_point(stop)
        try:
            answer = first.submit(held.handle, monkeypatch, one)
            assert has_it.wait(30)
            assert held.handle(monkeypatch, two) == []
        finally:
            faults.on_point(None)
            is_done.set()
        assert answer.result() == []
    assert (held.waiting(), len(held.ledger())) == (1, 1)
    assert held.invoke(monkeypatch) == []
    assert (held.waiting(), len(held.ledger())) == (0, 2)


def test_what_breaks_each_run_gets_to_the_dead_letters_though_it_sometimes_waits(held, monkeypatch):
    held.publish(held.put(MADE[0], f"{APP}/a"), "one")
    invocations = 0

    def broken(study, archives):
        if invocations % 3 == 0:
            raise Busy("held")
        raise RuntimeError("the engine fell over")

    with monkeypatch.context() as patched:
        patched.setattr("carrel.ingest.aws.ingester.make_ingester", lambda mapping: broken)
        while held.waiting():
            invocations += 1
            assert invocations < 30
            held.invoke(monkeypatch)
    dead = held.sqs.get_queue_url(QueueName="study-dead")["QueueUrl"]
    assert len(held.sqs.receive_message(QueueUrl=dead)["Messages"]) == 1
    assert held.ledger() == {}


@pytest.mark.parametrize(
    "delivery",
    [
        Delivery(message_id="m", receipt="r", receives=MOST_TRIED + 2, body="x", since=time.time()),
        Delivery(message_id="m", receipt="r", receives=1, body="x", since=time.time() - LONGEST_IN_ALL - 60),
    ],
)
def test_a_message_is_not_put_back_for_ever(pipeline, delivery):
    assert Queue(Aws(), pipeline.queue, None).put_back(delivery) is False
    assert pipeline.waiting() == 0


def test_a_message_stays_when_the_queue_does_not_take_it_anew(pipeline):
    queue = Queue(Aws(attempts=1), pipeline.queue + "-gone", None)
    assert queue.put_back(Delivery(message_id="m", receipt="r", receives=1, body="x", since=time.time())) is False


def test_with_too_little_time_nothing_is_begun(pipeline, monkeypatch):
    pipeline.publish(pipeline.put(MADE[0], f"{APP}/a"), "one")
    assert len(pipeline.invoke(monkeypatch, seconds=30)) == 1
    assert not Path(pipeline.warehouse).exists()
    assert pipeline.invoke(monkeypatch) == []


def test_refused_by_s3_the_messages_stay_whatever_their_number_of_deliveries(pipeline, monkeypatch):
    pipeline.publish(pipeline.put(MADE[0], f"{APP}/a"), "one")

    def refused(aws, notice):
        raise PermissionError("no")

    with monkeypatch.context() as patched:
        patched.setattr("carrel.ingest.aws.batch._head", refused)
        for _ in range(5):
            assert len(pipeline.invoke(monkeypatch)) == 1
    assert pipeline.invalid_messages() == []
    assert pipeline.invoke(monkeypatch) == []


def test_killed_after_the_commit_and_before_the_answer_nothing_is_lost_or_doubled(pipeline, monkeypatch):
    pipeline.publish(pipeline.put(MADE[0], f"{APP}/a"), "one")
    code = (
        "import json, sys, types; from carrel.ingest.aws.handler import handle;"
        "handle(json.load(sys.stdin), types.SimpleNamespace(get_remaining_time_in_millis=lambda: 600000))"
    )
    for fault in ("ingest.decided", "ingest.lambda_settled"):
        environment = {**os.environ, **pipeline.variables, "CARREL_FAULT": fault}
        event = json.dumps(pipeline.event())
        killed = subprocess.run([sys.executable, "-c", code], env=environment, input=event, text=True, check=False)
        assert killed.returncode == -signal.SIGKILL
        assert pipeline.waiting() == 1
    assert pipeline.invoke(monkeypatch) == []
    assert (pipeline.waiting(), len(pipeline.ledger())) == (0, 1)


def test_the_queue_gives_failures_again_soon_and_later_each_time(pipeline):
    pipeline.sqs.send_message(QueueUrl=pipeline.queue, MessageBody="x")
    (record,) = pipeline.event()["Records"]
    Queue(Aws(), pipeline.queue, None).retry_later(Delivery.from_record(record))
    assert pipeline.event()["Records"] == []


def test_an_invalid_message_stays_when_the_invalid_queue_is_gone(pipeline):
    queue = Queue(Aws(attempts=1), None, pipeline.invalid + "-gone", invalid_after=1)
    assert queue.refuse(Delivery(message_id="m", receipt="r", receives=9, body="x"), "broken") is False


def message(key: str, receives: int = 1) -> Delivery:
    event = {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "raw"}, "object": {"key": key}}}]}
    return Delivery(message_id=f"m-{key}", receipt="r", receives=receives, body=json.dumps(event))


def batch_handler(ingest, most: int = 50) -> BatchHandler:
    return BatchHandler(
        studies={"one": StudyPipeline("one", "/w")},
        queue=Queue(Aws(), None, None),
        aws=Aws(),
        ingest=ingest,
        most=most,
    )


@pytest.fixture
def keys(s3, bucket) -> list[str]:
    names = [f"k{number}" for number in range(6)]
    for name in names:
        s3.put_object(Bucket=bucket, Key=name, Body=b"x")
    return names


def test_only_what_the_engine_settled_is_acknowledged(keys):
    def take(study, archives):
        return [ref.uri for ref in archives if ref.uri != "s3://raw/k2"]

    assert batch_handler(take).handle([message(key) for key in keys], lambda: 600) == ["m-k2"]


def test_a_run_that_breaks_takes_only_its_own_archives_with_it(keys):
    def take(study, archives):
        if "s3://raw/k2" in [ref.uri for ref in archives]:
            raise RuntimeError("the engine fell over")
        return [ref.uri for ref in archives]

    first = batch_handler(take, most=6).handle([message(key) for key in keys], lambda: 600)
    assert len(first) == 6
    assert batch_handler(take, most=6).handle([message(key, 2) for key in keys], lambda: 600) == ["m-k2"]


def test_time_is_kept_for_what_a_run_took_so_far(keys):
    left = [600.0]

    def take(study, archives):
        left[0] -= 250
        return [ref.uri for ref in archives]

    failed = batch_handler(take, most=2).handle([message(key) for key in keys], lambda: left[0])
    assert failed == ["m-k2", "m-k3", "m-k4", "m-k5"]


def test_a_busy_warehouse_is_not_asked_again_in_the_same_batch(keys):
    asked = []

    def take(study, archives):
        asked.append(archives)
        raise Busy("held")

    assert len(batch_handler(take, most=1).handle([message(key) for key in keys], lambda: 600)) == 6
    assert len(asked) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '[{"name": "x"}]', "[1]"])
def test_settings_that_make_no_sense_are_said(text):
    with pytest.raises(handler.SettingsFault, match="INGEST_STUDIES"):
        handler.parse_studies(text)


@pytest.mark.parametrize("place", ["s3://raw", "s3://raw/Carrel/main", "s3://raw/other/main/mapping"])
def test_a_place_of_the_mapping_that_is_none_is_said(aws, place):
    with pytest.raises(handler.SettingsFault, match="INGEST_MAPPING"):
        handler.fetch_mapping(Aws(), place)


def test_the_source_is_one_that_the_engine_knows():
    from carrel.ingest.sources import Source

    assert isinstance(ingester.ListedSource([]), Source)

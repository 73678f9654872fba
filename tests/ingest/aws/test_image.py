"""The image that is deployed: built from its Dockerfile, run under Lambda's limits, its settings the template's own."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from tests.support.cloudformation import launch_study, resources
from tests.support.docker import docker
from tests.support.ingest import MAPPING, documents, state_of
from tests.support.ingest_image import base_for_ingest, build_ingest
from tests.support.lambda_runtime import Crashed, Function, as_lambda_has_it, bridge_message, function

from carrel.ingest.aws.artifacts import upload
from carrel.ingest.aws.batch import _head
from carrel.ingest.aws.ingester import make_ingester
from carrel.ingest.aws.messages import Notice
from carrel.ingest.aws.work import StudyPipeline
from carrel.ingest.aws_access import Aws
from carrel.ingest.schemas import SchemaStore
from carrel.ingest.store import coordinator_lock, open_storage
from carrel.ingest.store.ledger import Ledger
from carrel.synthetic import Knobs, generate
from carrel.warehouse.layout import LOCK

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]

APP, STUDY, NAME = "mobile-toolbox", "one", "carrel-mobile-toolbox-one"
WAREHOUSE = f"carrel/{APP}/{STUDY}"
FILTER = {"studyRecords": {STUDY: {"s3Key": [{"exists": True}]}}}
MADE = list(generate(Knobs(seed=11, records=4, shapes={"task": 1.0}, android=0.0)))


@pytest.fixture(scope="module")
def image(docker_image: str) -> Iterator[str]:
    name = build_ingest(base_for_ingest(docker_image))
    yield name
    docker("rmi", "--force", name)


@pytest.fixture(scope="module")
def mapping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a deployment has in `deploy/aws/mapping`."""
    folder = tmp_path_factory.mktemp("mapping")
    (folder / "mapping.yaml").write_text(MAPPING)
    SchemaStore(folder / "schemas").add(documents())
    return folder


class Deployed:
    """A study's stack, launched from its template, with a topic before its queue."""

    def __init__(self, mapping: Path, image: str):
        self.s3, self.sqs, self.sns = (boto3.client(name) for name in ("s3", "sqs", "sns"))
        for bucket in ("raw", "warehouse", "artifacts"):
            where = {"LocationConstraint": "eu-west-2"}
            self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
        upload(self.s3, "artifacts", "main", {"mapping": mapping})
        self.topic = self.sns.create_topic(Name="uploads")["TopicArn"]
        outputs = launch_study(APP, STUDY, image, TopicArn=self.topic, MaxReceive="4")
        self.queue, self.invalid, self.dead = (outputs[f"{name}Url"] for name in ("Queue", "Invalid", "DeadLetters"))
        self.sns.subscribe(
            TopicArn=self.topic,
            Protocol="sqs",
            Endpoint=outputs["QueueArn"],
            Attributes={"FilterPolicyScope": "MessageBody", "FilterPolicy": json.dumps(FILTER)},
        )

    def variables(self, aws: dict[str, str]) -> dict[str, str]:
        made = boto3.client("lambda").get_function_configuration(FunctionName=NAME)["Environment"]["Variables"]
        return {**{name: str(value) for name, value in made.items()}, **aws}

    def put(self, number: int, key: str) -> str:
        made = MADE[number]
        self.s3.put_object(Bucket="raw", Key=f"{APP}/{key}", Body=made.data, Metadata=dict(made.metadata))
        return f"{APP}/{key}"

    def publish(self, key: str) -> None:
        self.sns.publish(TopicArn=self.topic, Message=bridge_message(APP, "raw", key, [STUDY]))

    def poll(self, target: Function) -> list[str]:
        """What Lambda's event source does once; the bodies of messages that failed. They may be received again at once,
        as they may be in AWS when their time has passed."""
        got = self.sqs.receive_message(
            QueueUrl=self.queue,
            MaxNumberOfMessages=10,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
            WaitTimeSeconds=0,
        ).get("Messages", [])
        failed = [each["MessageId"] for each in got]
        try:
            answer = target.invoke({"Records": [as_lambda_has_it(each) for each in got]})
            failed = [each["itemIdentifier"] for each in answer["batchItemFailures"]]
        finally:
            self._settle(got, failed)
        return [each["Body"] for each in got if each["MessageId"] in failed]

    def _settle(self, messages: list[dict[str, Any]], failed: list[str]) -> None:
        for each in messages:
            where = {"QueueUrl": self.queue, "ReceiptHandle": each["ReceiptHandle"]}
            if each["MessageId"] in failed:
                self.sqs.change_message_visibility(**where, VisibilityTimeout=0)
            else:
                self.sqs.delete_message(**where)

    def count(self, url: str) -> int:
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def downloaded(self, folder: Path) -> Path:
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket="warehouse", Prefix=f"{WAREHOUSE}/"):
            for each in page["Contents"]:
                target = folder / each["Key"].removeprefix(f"{WAREHOUSE}/")
                target.parent.mkdir(parents=True, exist_ok=True)
                self.s3.download_file("warehouse", each["Key"], str(target))
        return folder


def started(kind: str) -> list[str]:
    """The command line that a template gives the Lambda or the task."""
    made = resources("study.yaml")
    if kind == "Function":
        properties = made["Function"]["Properties"]["ImageConfig"]
        return [*properties["EntryPoint"], *properties["Command"]]
    (container,) = made["Backfill"]["Properties"]["ContainerDefinitions"]
    return list(container["EntryPoint"])


@pytest.fixture
def deployed(aws: str, image: str, mapping: Path) -> Deployed:
    return Deployed(mapping, image)


@pytest.fixture
def served(deployed: Deployed, image: str, aws_environment: dict[str, str]) -> Iterator[Function]:
    with function(image, started("Function"), deployed.variables(aws_environment)) as made:
        yield made


def by_hand(keys: list[str], mapping: Path, folder: Path) -> dict[str, Any]:
    """The warehouse that the engine makes of these archives here, in one run."""
    refs = [_head(Aws(), Notice("raw", key)) for key in keys]
    make_ingester(mapping)(StudyPipeline(STUDY, str(folder), APP), [ref for ref in refs if ref])
    return contents(folder)


def contents(warehouse: Path) -> dict[str, Any]:
    """What does not depend on how archives were divided among runs; the catalog also has the kinds each of them saw."""
    made = state_of(warehouse)
    del made["catalog"]
    return made


def test_archives_of_a_topic_are_tables_in_s3_and_poison_goes_its_own_way(deployed, served, mapping, tmp_path):
    keys = [deployed.put(number, f"2022-09-01/_rec {number}") for number in range(3)]
    for key in keys:
        deployed.publish(key)
    deployed.sqs.send_message(QueueUrl=deployed.queue, MessageBody="{broken")
    deployed.publish(f"{APP}/not-there")
    assert len(deployed.poll(served)) == 2
    assert len(deployed.poll(served)) == 2
    assert deployed.poll(served) == []
    assert [deployed.count(url) for url in (deployed.queue, deployed.invalid, deployed.dead)] == [0, 2, 0]
    deployed.publish(keys[0])
    deployed.publish(deployed.put(3, "2022-09-02/later"))
    assert deployed.poll(served) == []
    found = contents(deployed.downloaded(tmp_path / "there"))
    assert found == by_hand([*keys, f"{APP}/2022-09-02/later"], mapping, tmp_path / "here")
    assert '{"carrel": "ingest", "archives": 3, "troubled": 0, "unfetched": 0}' in served.log()


def test_what_kills_the_lambda_each_time_is_a_dead_letter_and_can_be_redriven(deployed, served, image, aws_environment):
    deployed.publish(deployed.put(0, "a"))
    variables = {**deployed.variables(aws_environment), "CARREL_FAULT": "ingest.batches_done"}
    storage = open_storage(f"s3://warehouse/{WAREHOUSE}")
    with function(image, started("Function"), variables) as broken:
        for _ in range(4):
            with pytest.raises(Crashed):
                deployed.poll(broken)
            storage.delete(LOCK)  # the lease of who was killed has run out when the message is visible again
    deployed.sqs.receive_message(QueueUrl=deployed.queue, WaitTimeSeconds=0)
    assert [deployed.count(url) for url in (deployed.queue, deployed.dead)] == [0, 1]
    (letter,) = deployed.sqs.receive_message(QueueUrl=deployed.dead)["Messages"]
    deployed.sqs.send_message(QueueUrl=deployed.queue, MessageBody=letter["Body"])
    assert deployed.poll(served) == []
    lines = Ledger(storage).lines()
    assert [line.entry.disposition.value for line in lines] == ["ingested"]


def test_the_task_takes_what_came_before_and_nothing_twice(deployed, image, aws_environment, mapping, tmp_path):
    keys = [deployed.put(number, f"{number}") for number in range(4)]
    (task,) = boto3.client("ecs").list_task_definitions()["taskDefinitionArns"]
    described = boto3.client("ecs").describe_task_definition(taskDefinition=task)["taskDefinition"]
    (container,) = described["containerDefinitions"]
    given = {**{each["name"]: each["value"] for each in container["environment"]}, **aws_environment}
    words = [word for name, value in given.items() for word in ("--env", f"{name}={value}")]
    entry, *rest = [*started("Backfill"), *container["command"]]
    run = ["docker", "run", "--rm", "--network", "host", *words, "--entrypoint", entry, container["image"], *rest]
    for taken in (True, False):
        done = subprocess.run(run, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert ('{"carrel": "ingest", "archives": 4' in done.stdout) is taken
    assert contents(deployed.downloaded(tmp_path / "there")) == by_hand(keys, mapping, tmp_path / "here")
    with coordinator_lock(open_storage(f"s3://warehouse/{WAREHOUSE}")):
        assert subprocess.run(run, capture_output=True, check=False).returncode == 75


def test_the_image_by_itself_is_carrel_and_keeps_to_nobody(image):
    said = docker("run", "--rm", "--read-only", "--network", "none", image, "ingest", "artifacts", "--help")
    assert "--upload" in said
    assert docker("run", "--rm", "--network", "none", "--entrypoint", "id", image, "-u") == "65534"

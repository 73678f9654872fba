"""What an ingest asks of AWS, request by request, against what the roles of its stack allow.

moto's recorder tells what was asked, by boto3 and by Delta's own client alike; the policies are those of the launched
stack. The judge knows no more of IAM than these policies use: names, `*` in resources, and the prefix of a listing.
"""

import base64
import json
from ast import literal_eval
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
import httpx
import pytest
from tests.support.cloudformation import launch_study
from tests.support.lambda_runtime import as_lambda_has_it, bridge_message

from carrel.ingest.aws import backfill, handler
from carrel.ingest.aws.artifacts import upload
from carrel.ingest.store import coordinator_lock, open_storage
from carrel.synthetic import Knobs, generate

APP, STUDY, NAME = "mobile-toolbox", "one", "carrel-mobile-toolbox-one"
WAREHOUSE = f"s3://warehouse/carrel/{APP}/{STUDY}"
MADE = list(generate(Knobs(seed=4, records=2, shapes={"task": 1.0}, android=0.0)))


@dataclass(frozen=True, order=True)
class Asked:
    """One request as IAM sees it. `prefix`: of a listing that names one."""

    action: str
    resource: str
    prefix: str | None = None


def asked_of(request: dict[str, Any]) -> Iterator[Asked]:
    """The permissions that a recorded request needs."""
    headers = {name.lower(): value for name, value in request["headers"].items()}
    if "amazonsqs" in headers.get("x-amz-target", "").lower():
        body = json.loads(base64.b64decode(request["body"]) if request["body_encoded"] else request["body"])
        yield Asked(f"sqs:{headers['x-amz-target'].split('.')[1]}", body["QueueUrl"].rsplit("/", 1)[1])
        return
    parts = urlsplit(request["url"])
    bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
    query = parse_qs(parts.query, keep_blank_values=True)
    if key:
        yield Asked(OBJECT[request["method"]], f"{bucket}/{key}")
    elif request["method"] == "POST" and "delete" in query:
        yield Asked("s3:DeleteObject", f"{bucket}/*")
    else:
        assert request["method"] in ("GET", "HEAD"), request
        yield Asked("s3:ListBucket", bucket, query.get("prefix", [None])[0])


OBJECT = {
    "GET": "s3:GetObject",
    "HEAD": "s3:GetObject",
    "PUT": "s3:PutObject",
    "POST": "s3:PutObject",  # the parts of a large upload
    "DELETE": "s3:DeleteObject",
}


def statements(role: str) -> list[dict[str, Any]]:
    iam = boto3.client("iam")
    (name,) = [each["RoleName"] for each in iam.list_roles()["Roles"] if f"-{role}-" in each["RoleName"]]
    names = iam.list_role_policies(RoleName=name)["PolicyNames"]
    made = [iam.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"] for each in names]
    documents = [literal_eval(each) if isinstance(each, str) else each for each in made]  # moto has Python's
    return [each for document in documents for each in document["Statement"]]


def is_allowed(asked: Asked, allowed: list[dict[str, Any]]) -> bool:
    return any(_allows(each, asked) for each in allowed)


def _allows(statement: dict[str, Any], asked: Asked) -> bool:
    actions, resources = _list(statement["Action"]), _list(statement["Resource"])
    names = [each.rsplit(":", 1)[1] for each in resources]
    if asked.action not in actions or not any(fnmatchcase(asked.resource, each) for each in names):
        return False
    conditions = dict(statement.get("Condition", {}))
    wanted = conditions.pop("StringLikeIfExists", {}).get("s3:prefix")
    assert not conditions, f"the judge knows no {conditions}"
    return wanted is None or (asked.prefix is not None and fnmatchcase(asked.prefix, wanted))


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


@pytest.fixture
def recorded(aws: str, s3, monkeypatch: pytest.MonkeyPatch, tmp_path):
    """A launched study with two archives, told of by messages; `recorded(work)` gives what `work` asked."""
    for name in ("raw", "warehouse", "artifacts"):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    (tmp_path / "mapping.yaml").write_text("{}\n")
    upload(s3, "artifacts", "main", {"mapping": tmp_path})
    launch_study(APP, STUDY, "x:y")
    for number, made in enumerate(MADE):
        s3.put_object(Bucket="raw", Key=f"{APP}/{number}", Body=made.data, Metadata=dict(made.metadata))

    def record(work) -> list[Asked]:
        for step in ("reset-recording", "start-recording"):
            httpx.post(f"{aws}/moto-api/recorder/{step}").raise_for_status()
        work()
        httpx.post(f"{aws}/moto-api/recorder/stop-recording").raise_for_status()
        lines = httpx.get(f"{aws}/moto-api/recorder/download-recording").text.splitlines()
        requests = [json.loads(line) for line in lines]
        return sorted({each for one in requests if "/moto-api/" not in one["url"] for each in asked_of(one)}, key=str)

    return record


def event(sqs) -> dict[str, Any]:
    """Good, broken and missing, all for the third time."""
    url = sqs.get_queue_url(QueueName=NAME)["QueueUrl"]
    keys = [f"{APP}/0", f"{APP}/1", f"{APP}/not-there"]
    for body in ("{broken", *(bridge_message(APP, "raw", key, [STUDY]) for key in keys)):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])["Messages"]
    for each in got:
        each["Attributes"]["ApproximateReceiveCount"] = "3"
    return {"Records": [as_lambda_has_it(each) for each in got]}


def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    made = boto3.client("lambda").get_function_configuration(FunctionName=NAME)["Environment"]["Variables"]
    for name, value in made.items():
        monkeypatch.setenv(name, str(value))
    handler.batch_handler.cache_clear()


def test_a_lambda_may_do_all_that_it_does(recorded, sqs, monkeypatch):
    settings(monkeypatch)
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: 600000)
    batch = event(sqs)
    first = {"ApproximateReceiveCount": "1"}
    again = {"Records": [{**each, "attributes": {**each["attributes"], **first}} for each in batch["Records"]]}
    answers = []

    def work() -> None:
        answers.append(handler.handle(batch, context))
        with coordinator_lock(open_storage(WAREHOUSE)):
            answers.append(handler.handle(again, context))

    asked = recorded(work)
    assert [len(each["batchItemFailures"]) for each in answers] == [0, 2]
    allowed = statements("FunctionRole")
    assert [each for each in asked if not is_allowed(each, allowed)] == []
    assert {each.action for each in asked} == {
        *("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"),
        *("sqs:SendMessage", "sqs:ChangeMessageVisibility"),
    }


def test_a_task_may_do_all_that_it_does(recorded, monkeypatch):
    monkeypatch.setenv("INGEST_WAREHOUSE", WAREHOUSE)
    monkeypatch.setenv("INGEST_APP", APP)
    monkeypatch.setenv("INGEST_MAPPING", "s3://artifacts/Carrel/main/mapping")
    asked = recorded(lambda: backfill.main([f"s3://raw/{APP}/"]))
    allowed = statements("TaskRole")
    assert [each for each in asked if not is_allowed(each, allowed)] == []
    assert Asked("s3:GetObject", f"raw/{APP}/1") in asked


ANOTHERS = (
    Asked("s3:GetObject", f"warehouse/carrel/{APP}/two/tables/x"),
    Asked("s3:PutObject", f"raw/{APP}/x"),
    Asked("s3:DeleteObject", f"raw/{APP}/x"),
    Asked("s3:PutObject", "artifacts/Carrel/main/mapping/mapping.yaml"),
    Asked("s3:GetObject", "artifacts/Carrel/feature/mapping/mapping.yaml"),
    Asked("s3:GetObject", "raw/other-app/x"),
    Asked("s3:ListBucket", "warehouse", f"carrel/{APP}/two/"),
    Asked("s3:GetObjectVersion", f"warehouse/carrel/{APP}/{STUDY}/x"),
    Asked("s3:DeleteObjectVersion", f"warehouse/carrel/{APP}/{STUDY}/x"),
    Asked("sqs:SendMessage", "carrel-mobile-toolbox-two"),
    Asked("sqs:PurgeQueue", NAME),
)


@pytest.mark.parametrize("role", ["FunctionRole", "TaskRole"])
def test_what_is_another_s_is_refused(recorded, role):
    assert [each for each in ANOTHERS if is_allowed(each, statements(role))] == []

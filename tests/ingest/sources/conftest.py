import json
from uuid import uuid4

import pytest
from moto.server import ThreadedMotoServer

from carrel.ingest.aws_access import Aws


@pytest.fixture(scope="session")
def moto_url():
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(moto_url, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return Aws(moto_url, "us-east-1", attempts=2, timeout=10)


@pytest.fixture
def bucket(aws):
    name = f"raw-{uuid4().hex[:12]}"
    aws.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture
def put(aws, bucket):
    def put(key, data=b"PK", **metadata):
        aws.client("s3").put_object(Bucket=bucket, Key=key, Body=data, Metadata=metadata)

    return put


@pytest.fixture
def queue(aws):
    return aws.client("sqs").create_queue(QueueName=f"q-{uuid4().hex[:12]}")["QueueUrl"]


@pytest.fixture
def send(aws, queue, bucket):
    """Send Bridge's message about a key, as SNS wraps it; or any body."""

    def send(key=None, body=None):
        if body is None:
            block = {"s3Bucket": bucket, "s3Key": key, "rawFolderId": "syn1"}
            message = {"appId": "mobile-toolbox", "recordId": "r", "record": block, "studyRecords": {"s": block}}
            body = json.dumps({"Type": "Notification", "Message": json.dumps(message)})
        aws.client("sqs").send_message(QueueUrl=queue, MessageBody=body)

    return send

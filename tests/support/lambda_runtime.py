"""AWS Lambda as a container sees it: the runtime API over HTTP, and the event source that polls a queue for it.

The API is AWS's, `2018-06-01`: a container asks for the next invocation and posts its answer. Limits that Lambda sets
(nothing but /tmp is writable, no shared memory, an unknown user, so much memory) are Docker's to keep.
"""

import json
import os
import queue
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.docker import docker
from tests.support.waiting import until

NEXT = "/2018-06-01/runtime/invocation/next"


class Crashed(Exception):
    """The container ended, or told of an error, before it answered; the text is its log."""


class RuntimeApi:
    """One function's invocations, one at a time."""

    def __init__(self) -> None:
        self.waiting: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.answers: dict[str, tuple[str, bytes]] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _handler(api: RuntimeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            assert self.path == NEXT, self.path
            request_id, event = api.waiting.get()
            self.send_response(200)
            self.send_header("Lambda-Runtime-Aws-Request-Id", request_id)
            self.send_header("Lambda-Runtime-Deadline-Ms", str(int((time.time() + 600) * 1000)))
            self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-2:1:function:carrel")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(event)))
            self.end_headers()
            self.wfile.write(event)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            *_, request_id, kind = self.path.split("/")
            api.answers[request_id] = (kind, body)
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Quiet."""

    return Handler


class Function:
    """A container that serves one function; started for its first invocation, and again when it has died."""

    def __init__(self, image: str, start: Sequence[str], variables: Mapping[str, str], memory: int) -> None:
        self.image, self.start, self.variables, self.memory = image, start, dict(variables), memory
        self.api = RuntimeApi()
        self.container = ""

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """The function's answer. Raises Crashed."""
        if not self._is_running():
            self._run()
        request_id = str(uuid.uuid4())
        self.api.waiting.put((request_id, json.dumps(event).encode()))
        until(lambda: request_id in self.api.answers or not self._is_running(), "the function answers", 120)
        kind, body = self.api.answers.pop(request_id, ("crash", b""))
        if kind != "response":
            raise Crashed(f"{kind}: {body.decode()}\n{self.log()}")
        return json.loads(body)

    def log(self) -> str:
        return docker("logs", self.container)

    def close(self) -> None:
        self._remove()
        self.api.close()

    def _is_running(self) -> bool:
        return bool(self.container) and docker("inspect", "--format", "{{.State.Running}}", self.container) == "true"

    def _run(self) -> None:
        self._remove()
        given = {**self.variables, "AWS_LAMBDA_RUNTIME_API": self.api.address, "AWS_LAMBDA_FUNCTION_NAME": "carrel"}
        words = [word for name, value in given.items() for word in ("--env", f"{name}={value}")]
        # --init: as process 1 it could not be killed by its own hand, and nor is it that in AWS.
        limits = [
            "--init",
            "--read-only",
            "--tmpfs",
            "/tmp",
            "--ipc",
            "none",
            "--user",
            "993:990",
            "--memory",
            f"{self.memory}m",
        ]
        entry, *rest = self.start
        name = f"carrel-test-lambda-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.container = docker(
            "run",
            "--detach",
            "--name",
            name,
            "--network",
            "host",
            *limits,
            *words,
            "--entrypoint",
            entry,
            self.image,
            *rest,
        )

    def _remove(self) -> None:
        if self.container:
            docker("rm", "--force", self.container)
            self.container = ""


@contextmanager
def function(image: str, start: Sequence[str], variables: Mapping[str, str], memory: int = 2048) -> Iterator[Function]:
    made = Function(image, start, variables, memory)
    try:
        yield made
    finally:
        made.close()


def as_lambda_has_it(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message that SQS gave, as a record of the event that Lambda makes of it."""
    attributes = {
        name: {"stringValue": each["StringValue"], "dataType": each["DataType"]}
        for name, each in message.get("MessageAttributes", {}).items()
    }
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": attributes,
        "eventSource": "aws:sqs",
    }


def bridge_message(app: str, bucket: str, key: str, studies: Sequence[str]) -> str:
    """As Bridge announces an archive; the study-level blocks name another place, which must not be looked at."""
    block = {"parentProjectId": "syn1", "rawFolderId": "syn2", "fileEntityId": "syn3", "s3Bucket": bucket}
    others = {study: {**block, "s3Bucket": "other", "s3Key": "other"} for study in studies}
    return json.dumps({"appId": app, "recordId": "r", "record": {**block, "s3Key": key}, "studyRecords": others})

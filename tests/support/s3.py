"""S3 as moto's server plays it, over HTTP: for boto3, deltalake and Arrow alike.

`python -m tests.support.s3 PORT [IGNORED HEADER ...]` is the server: moto's own application, each request done whole
before the next begins. Real S3 decides conditional writes one after another; moto looks first and writes then,
and its threads could come between. A process of its own, because a native library that waits for it may hold this one's
GIL.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.support.waiting import free_port, until

REGION = "eu-west-2"
ROOT = Path(__file__).parents[2]


def environment(address: str) -> dict[str, str]:
    """What leads every S3 client to the server."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",  # what moto takes
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@contextmanager
def s3_server(*ignored: str) -> Iterator[str]:
    """The server's address. `ignored`: headers that this server does not look at in a PUT."""
    path = {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    with moto_running(lambda port: ["tests.support.s3", str(port), *ignored], path) as address:
        yield address


@contextmanager
def moto_running(module: Callable[[int], list[str]], environment: Mapping[str, str]) -> Iterator[str]:
    """Runs a module that serves moto on a port, until the end of the block; its address."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", *module(port)]
    address = f"http://127.0.0.1:{port}"
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet, cwd=ROOT, env={**os.environ, **environment}) as server:
        try:
            until(lambda: _answers(address), "moto's server answers", 60)
            yield address
        finally:
            server.terminate()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/moto-api/data.json").is_success
    except httpx.TransportError:
        return False


def new_bucket(address: str) -> str:
    """An empty bucket."""
    name = f"b-{uuid4().hex[:12]}"
    client(address).create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


def client(address: str) -> Any:
    """A client of the server, whatever the environment says."""
    import boto3

    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION)
    return session.client("s3", endpoint_url=address)


def pass_time(storage: Any) -> None:
    """As if the lease on a warehouse had not been renewed for a long time."""
    from carrel.warehouse.layout import LOCK

    storage.write(LOCK, json.dumps({**json.loads(storage.read(LOCK)), "seconds": 0}).encode())


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def s3(s3_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The server's address; every client of this process, and of those it starts, finds it by the environment."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in environment(s3_address).items():
        monkeypatch.setenv(name, value)
    return s3_address


class _OneByOne:
    """A WSGI application whose requests never overlap."""

    def __init__(self, application: Any, ignored: Iterable[str]):
        self.application = application
        self.ignored = [f"HTTP_{name.upper().replace('-', '_')}" for name in ignored]
        self.lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        for name in self.ignored if environ["REQUEST_METHOD"] == "PUT" else ():
            environ.pop(name, None)
        with self.lock:
            return list(self.application(environ, start_response))


def serve(port: int, *ignored: str) -> None:
    """Until killed."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    application = _OneByOne(DomainDispatcherApplication(create_backend_app), ignored)
    run_simple("127.0.0.1", port, application, threaded=True)


if __name__ == "__main__":
    serve(int(sys.argv[1]), *sys.argv[2:])

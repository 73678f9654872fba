"""AWS as moto's server plays it: real HTTP, and empty again before each test."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import httpx
import pytest
from tests.support.docker import docker_engine, docker_image
from tests.support.s3 import REGION, moto_running
from tests.support.s3 import environment as on_s3

__all__ = ["docker_engine", "docker_image"]

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server's address. A process of its own: a native library that waits for it may hold this one's GIL."""
    recording = {"MOTO_RECORDER_FILEPATH": str(tmp_path_factory.mktemp("moto") / "recording")}
    with moto_running(lambda port: ["moto.server", "-H", "127.0.0.1", "-p", str(port)], recording) as address:
        yield address


@pytest.fixture
def aws(moto_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty account, which boto3 and its like find by the environment."""
    httpx.post(f"{moto_server}/moto-api/reset").raise_for_status()
    for name, value in environment(moto_server).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return moto_server


def environment(address: str) -> dict[str, str]:
    """What leads every AWS client to the server."""
    return {
        **on_s3(address),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ALLOW_HTTP": "true",
    }


@pytest.fixture
def aws_environment(aws: str) -> dict[str, str]:
    return environment(aws)


@pytest.fixture
def s3(aws: str):
    return boto3.client("s3")


@pytest.fixture
def sqs(aws: str):
    return boto3.client("sqs")


@pytest.fixture
def bucket(s3) -> str:
    s3.create_bucket(Bucket="raw", CreateBucketConfiguration={"LocationConstraint": REGION})
    return "raw"


@pytest.fixture(scope="session")
def sceptre(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sceptre in an environment of its own, since it and Carrel want different versions of jsonschema."""
    folder = tmp_path_factory.mktemp("sceptre")
    pins = REPOSITORY / "deploy/aws/requirements.txt"
    try:
        _run("uv", "venv", "--quiet", str(folder))
        _run(
            "uv",
            "pip",
            "install",
            "--quiet",
            "--python",
            str(folder / "bin/python"),
            "--require-hashes",
            "-r",
            str(pins),
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"sceptre cannot be installed here: {getattr(error, 'stderr', error)}")
    return folder / "bin/sceptre"


def _run(*command: str) -> None:
    path = f"{REPOSITORY / '.venv/bin'}:{os.environ['PATH']}"
    subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "PATH": path})

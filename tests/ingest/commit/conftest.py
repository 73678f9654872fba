import pytest
from tests.support.s3 import environment, new_bucket, s3_server

from carrel.ingest.commit import open_storage


@pytest.fixture(scope="session")
def s3_address():
    with s3_server() as address:
        yield address


@pytest.fixture
def s3(s3_address, monkeypatch):
    """The server's address; every client of this process finds it by the environment."""
    for name, value in environment(s3_address).items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "AWS_ALLOW_HTTP"):
        monkeypatch.delenv(name, raising=False)
    return s3_address


@pytest.fixture(params=["folder", "s3"])
def place(request, tmp_path):
    """The address of an empty warehouse, on either kind of place."""
    if request.param == "folder":
        return str(tmp_path / "warehouse")
    return f"s3://{new_bucket(request.getfixturevalue('s3'))}/study/warehouse"


@pytest.fixture
def storage(place):
    return open_storage(place)


@pytest.fixture
def on_s3(s3):
    """A warehouse in a bucket of its own."""
    return open_storage(f"s3://{new_bucket(s3)}/study")

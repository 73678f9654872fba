import pytest
from tests.support.s3 import new_bucket

from carrel.ingest.store import open_storage


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

"""What no database can look for is refused before any page looks: NUL in any part of an address."""

import re

import pytest
from tests.support.jobserver import browse

from carrel.jobserver.project_urls import PROJECT_PAGES
from carrel.jobserver.urls import PAGES

pytestmark = pytest.mark.django_db


def addresses() -> list[str]:
    """Each page's address with NUL in the query, and with NUL for each part that may be any text."""
    paths = []
    for page in [*PAGES, *PROJECT_PAGES]:
        plain = re.sub(r"<(?:int:)?[a-z_]+>|<int:[^>]+>", "1", page.path)
        paths += [
            f"/{re.sub('<[^>]+>', 'some', plain)}?q=1&backend=a%00b",
            f"/{re.sub('<[^>]+>', 'some', plain)}?%00=1",
        ]
        if "<str:" in plain:
            paths.append("/" + re.sub("<[^>]+>", "some", plain.replace("<str:", "<!", 1)).replace("some", "%00", 1))
    return paths


def test_nul_is_refused_by_every_page() -> None:
    client = browse()
    for address in addresses():
        status = client.get(address).status_code
        assert status in ((400,) if "?" in address else (400, 404)), (address, status)
    assert client.get("/%00/").status_code == 404

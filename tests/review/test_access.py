"""The guard before every page: who is let in, and what strangers learn."""

import pytest
from tests.support.review import WORKSPACE, add_account, add_request, browse

from carrel.review.models import AuditEvent, LevelGrant

pytestmark = pytest.mark.django_db


def test_a_stranger_is_asked_to_sign_in() -> None:
    answer = browse().get("/?q=1")
    assert answer.status_code == 302
    assert answer["Location"] == "/sign-in/?next=%2F%3Fq%3D1"


def test_without_level_4_nothing_is_shown() -> None:
    account = add_account("ann", WORKSPACE)
    assert browse(account).get("/").status_code == 200
    LevelGrant.objects.all().delete()
    assert browse(account).get("/").status_code == 403
    assert AuditEvent.objects.get().event_type == "ACCESS_REFUSED"


def test_the_own_requests_are_listed() -> None:
    account = add_account("ann", WORKSPACE)
    add_request(account, title="Visits by plan")
    assert b"Visits by plan" in browse(account).get("/").content

"""Error pages look like the rest, and say what happened, why and what to do."""

import logging
import re

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client, RequestFactory

from carrel.pages import errors


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


def test_a_403_says_which_right_is_missing_and_who_grants_it(client: Client) -> None:
    answer = client.get("/no-right/")
    text = answer.content.decode()
    assert answer.status_code == 403
    assert "run jobs" in text
    assert "A lead of the project “Health insurance” can grant it." in text
    assert "Ann Lee" in text


def test_a_404_holds_a_reference_that_the_log_has(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "carrel.pages.errors"):
        answer = client.get("/no-such-page/")
    assert answer.status_code == 404
    reference = re.search(r"<code>([0-9a-f]{8})</code>", answer.content.decode())
    assert reference
    assert f"reference {reference[1]}, GET /no-such-page/" in caplog.text


def test_a_500_needs_nothing_of_the_site(client: Client) -> None:
    answer = client.get("/broken/")
    text = answer.content.decode()
    assert answer.status_code == 500
    assert "Something went wrong on our side" in text
    assert "broken" not in text
    assert "Ann Lee" not in text


def test_too_many_requests_say_when_to_come_back(client: Client) -> None:
    answer = client.get("/too-many/")
    assert (answer.status_code, answer["Retry-After"]) == (429, "60")


def test_an_old_form_is_told_in_words() -> None:
    answer = Client(enforce_csrf_checks=True).post("/form/", {})
    assert answer.status_code == 403
    assert "This form is no longer valid" in answer.content.decode()


@pytest.mark.parametrize(
    ("view", "status", "words"),
    [
        (errors.bad_request, 400, "could not be understood"),
        (errors.forbidden, 403, "Ask those who run this site"),
    ],
)
def test_other_refusals(view: object, status: int, words: str) -> None:
    answer = view(RequestFactory().get("/"), PermissionDenied("secret"))  # type: ignore[operator]  # a view
    assert answer.status_code == status
    assert words in answer.content.decode()
    assert "secret" not in answer.content.decode()

"""Signing in at a site without a job server: accounts of this machine, throttled, and sessions that end."""

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from tests.support.review import WORKSPACE

from carrel.review import signing_in
from carrel.review.models import Account, AuditEvent
from carrel.review.signing_in import SignInRefused, sign_in_by_password

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture
def manage(tmp_path: Path) -> Any:
    """Run `carrel manage review_account`; `password` is handed over in a file."""

    def run(*words: str, password: str = "") -> str:
        if password:
            (tmp_path / "password").write_text(password + "\n")
            words = (*words, "--password-file", str(tmp_path / "password"))
        out = io.StringIO()
        call_command("review_account", *words, stdout=out)
        return out.getvalue()

    return run


@pytest.fixture
def ann(manage: Any) -> Account:
    manage("add", "ann", "--name", "Ann Other", password=PASSWORD)
    return Account.objects.get(pk="ann")


def post(client: Client, password: str = PASSWORD, path: str = "/sign-in/") -> Any:
    return client.post(path, {"username": "ann", "secret": password})


def test_an_account_from_the_command_line_to_the_first_page_and_out(ann: Account, manage: Any) -> None:
    manage("member", "ann", WORKSPACE, "--project", "Visits", "--organisation", "Example University")
    manage("checker", "ann")
    assert "ann (local): level 4 on north, output checker, member of visits-by-plan" in manage("list")
    client = Client()
    client.get("/sign-in/")
    before = client.session.session_key
    answer = post(client, path="/sign-in/?next=/%3Fq=1")
    assert (answer.status_code, answer["Location"]) == (302, "/?q=1")
    assert client.session.session_key != before
    assert "Ann Other" in client.get("/").content.decode()
    assert post(Client(), path="/sign-in/?next=https://elsewhere.example/")["Location"] == "/"
    client.post("/sign-out/")
    assert client.get("/").status_code == 302
    kinds = set(AuditEvent.objects.values_list("event_type", flat=True))
    assert kinds >= {"ACCOUNT_ADD", "ACCOUNT_LEVEL", "ACCOUNT_RIGHTS", "SIGN_IN", "SIGN_OUT"}


def test_a_new_password_or_closing_ends_sessions(ann: Account, manage: Any) -> None:
    client = Client()
    post(client)
    assert client.get("/").status_code == 200
    manage("password", "ann", password="another horse battery")
    assert client.get("/").status_code == 302
    post(client, "another horse battery")
    assert client.get("/").status_code == 200
    manage("close", "ann")
    assert client.get("/").status_code == 302
    assert b"Wrong username or password" in post(client, "another horse battery").content
    manage("close", "ann", "--reopen")
    assert post(client, "another horse battery").status_code == 302


def test_too_many_failures_keep_out_even_with_the_right_password_for_a_while(ann: Account) -> None:
    client = Client()
    for _ in range(signing_in.FAILURES_OF_A_NAME):
        assert b"Wrong username or password" in post(client, "wrong").content
    assert b"Too many attempts failed" in post(client).content
    later = timezone.now() + signing_in.WINDOW + timedelta(seconds=1)
    assert sign_in_by_password("ann", PASSWORD, "127.0.0.1", later) == ann
    assert sign_in_by_password("ann", PASSWORD, "127.0.0.1", timezone.now()) == ann, "a success ends it"


def test_an_address_is_kept_out_whatever_names_it_tries(ann: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing_in, "FAILURES_OF_AN_ADDRESS", 3)
    for number in range(3):
        with pytest.raises(SignInRefused, match="Wrong"):
            sign_in_by_password(f"nobody{number}", "x", "10.0.0.1", timezone.now())
    with pytest.raises(SignInRefused, match="Too many"):
        sign_in_by_password("ann", PASSWORD, "10.0.0.1", timezone.now())
    assert sign_in_by_password("ann", PASSWORD, "10.0.0.2", timezone.now()) == ann
    assert "nobody" not in str(list(AuditEvent.objects.values_list("extra", "actor")))


def test_what_the_command_refuses(ann: Account, manage: Any) -> None:
    for words, password, message in (
        (("add", "ann"), PASSWORD, "There is an account ann already"),
        (("add", "bob"), "short", "at least 12 characters"),
        (("add", " bob"), PASSWORD, "A username is"),
        (("checker", "bob"), "", "There is no account bob"),
    ):
        with pytest.raises(CommandError, match=message):
            manage(*words, password=password)
    Account.objects.filter(pk="ann").update(source=Account.AccountSource.JOB_SERVER)
    with pytest.raises(CommandError, match="change what they may do there"):
        manage("member", "ann", WORKSPACE)
    assert post(Client()).status_code == 200, "a password of before is worth nothing"

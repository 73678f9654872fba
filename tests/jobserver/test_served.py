"""The site as waitress serves it: behind a TLS proxy, and to callers that nobody knows."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from django.core.cache import cache
from django.core.handlers.wsgi import WSGIHandler
from tests.support.controller_server import end_waitress
from tests.support.jobserver import PASSWORD, add_backend, add_person, browse

from carrel.jobserver.models import AuditEvent, User
from carrel.jobserver.service.tokens import create_backend_token
from carrel.units.limits import MAX_FORM_BYTES, MAX_UNKNOWN_REQUEST_BYTES
from carrel.web import known
from carrel.web import server as web_server


@pytest.fixture(autouse=True)
def _site(settings, own_database):
    settings.ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
    user = add_person("ann")
    user.set_password(PASSWORD)
    user.save()


@contextmanager
def serving(trusted_proxy: str = "") -> Iterator[str]:
    application = WSGIHandler()  # middleware reads the settings when it is made: this test's
    server = web_server.create_server(application, "127.0.0.1", 0, 4, *known.of_jobserver(), trusted_proxy)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        end_waitress(server, thread)


def sign_in(client: httpx.Client, password: str = PASSWORD) -> httpx.Response:
    page = client.get("/accounts/login/").text
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert token is not None
    data = {"csrfmiddlewaretoken": token[1], "login": "ann", "password": password}
    return client.post("/accounts/login/", data=data)


FORWARDED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}


def test_the_word_of_the_trusted_proxy_counts_for_who_calls_and_how(settings):
    settings.SECURE_HSTS_SECONDS = 31536000
    with serving("127.0.0.1") as url, httpx.Client(base_url=url, headers=FORWARDED, timeout=60) as client:
        assert "max-age=31536000" in client.get("/accounts/login/").headers["Strict-Transport-Security"]
        settings.CSRF_TRUSTED_ORIGINS = [url.replace("http:", "https:")]
        client.headers["Referer"] = url.replace("http:", "https:") + "/accounts/login/"
        sign_in(client, "wrong")
    assert AuditEvent.objects.get(action="sign_in.failed").address == "203.0.113.9"


def test_nobody_elses_word_does(settings):
    settings.SECURE_HSTS_SECONDS = 31536000
    with serving() as url, httpx.Client(base_url=url, headers=FORWARDED, timeout=60) as client:
        assert "Strict-Transport-Security" not in client.get("/accounts/login/").headers
        sign_in(client, "wrong")
    assert AuditEvent.objects.get(action="sign_in.failed").address == "127.0.0.1"


def test_strangers_send_a_small_form_and_who_has_signed_in_a_large_one():
    fields = {f"north:action_{number}": "on" for number in range(2000)} | {"more": "x" * 60_000}
    with serving() as url, httpx.Client(base_url=url, timeout=60) as client:
        small = client.post("/settings/name/", data={"fullname": "Ann"})
        assert small.status_code == 403
        assert client.post("/settings/name/", data=fields).status_code == 401
        assert sign_in(client).status_code == 302
        page = client.get("/settings/").text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token is not None
        answer = client.post("/settings/name/", data={**fields, "fullname": "Ann Lee", "csrfmiddlewaretoken": token[1]})
        assert int(answer.request.headers["Content-Length"]) > MAX_UNKNOWN_REQUEST_BYTES
        assert answer.status_code == 302
        too_long = client.post("/settings/name/", content=b"x" * (MAX_FORM_BYTES + 1))
        assert too_long.status_code == 401


def test_a_process_that_has_just_started_knows_whose_long_bodies_to_take():
    """Neither its memory nor the cache holds anything: a backend uploads, a person took hours to fill a form in."""
    token = create_backend_token(add_backend("north"), "a test")
    key = browse(User.objects.get(username="ann")).session.session_key
    body = b"x" * (MAX_UNKNOWN_REQUEST_BYTES + 1)
    cache.clear()
    with serving() as url, httpx.Client(base_url=url, timeout=60) as client:
        for headers, status in (
            ({"Authorization": token}, 400),
            ({"Cookie": f"carrel_session={key}"}, 403),
            ({"Authorization": "carrel_b_unknown"}, 401),
            ({"Cookie": "carrel_session=unknown"}, 401),
        ):
            cache.clear()
            assert client.post("/api/v2/jobs/", content=body, headers=headers).status_code == status


def test_strangers_have_the_database_looked_at_once_in_a_while():
    looks = []
    stored = known.StoredHashes(lambda: looks.append(1) or ["a"], lambda: now)
    now = 100.0
    assert ["a" in stored, "b" in stored, "c" in stored] == [True, False, False]
    assert len(looks) == 1
    now += known.READ_EVERY
    assert ["a" in stored, "b" in stored, "c" in stored] == [True, False, False]
    assert len(looks) == 2


def test_a_session_that_never_was_is_nobody():
    with serving() as url:
        cookies = {"carrel_session": "forged" * 5}
        answer = httpx.post(f"{url}/settings/name/", content=b"x" * 100_000, cookies=cookies, timeout=60)
    assert answer.status_code == 401


def test_cookies_are_sent_over_tls_only_where_the_address_is_https(monkeypatch, tmp_path):
    from carrel.web.jobserver import jobserver_settings

    for address, secure in (("https://carrel.example.org", True), ("http://127.0.0.1:8000", False)):
        monkeypatch.setenv("JOBSERVER_URL", address)
        values = jobserver_settings(tmp_path, [])
        assert (values["SESSION_COOKIE_SECURE"], values["CSRF_COOKIE_SECURE"]) == (secure, secure)
        assert (values["SECURE_HSTS_SECONDS"] > 0) == secure
        assert values["SESSION_COOKIE_HTTPONLY"]
        assert values["SESSION_COOKIE_SAMESITE"] == "Lax"

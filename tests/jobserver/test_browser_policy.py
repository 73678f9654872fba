"""What browsers are told, on every page: nothing inline, nobody else's frame, no form without its token."""

from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.conf import settings
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from tests.support.every_page import ALL_PAGES, add_parts, address
from tests.support.jobserver import PASSWORD, add_person, browse

from carrel.jobserver.account_urls import ALLAUTH_ACCESS
from carrel.jobserver.models import Backend, Project, Role, RoleAssignment, User
from carrel.jobserver.service.tokens import create_backend_token, create_personal_token, hashed
from carrel.pages.errors import server_error

pytestmark = pytest.mark.django_db

POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Faults(HTMLParser):
    """Reads a page, and notes what the policy would block and forms that post without a token."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._form: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        inline = tag == "script" and "src" not in given and given.get("type") != "application/json"
        if inline or tag in ("style", "iframe", "object", "embed", "base"):
            self.found.append(f"<{tag}>")
        for name, value in given.items():
            if name.startswith("on") or name == "style":
                self.found.append(f"{name}={value!r}")
            if name in ("src", "href", "action") and (value or "").strip().lower().startswith(("javascript:", "//")):
                self.found.append(f"{name}={value!r}")
            if name == "src" and (value or "").startswith("http"):
                self.found.append(f"from elsewhere: {value}")
        if tag == "form" and (given.get("method") or "").lower() == "post":
            self._form = given.get("action") or "(this page)"
        if self._form and tag == "input" and given.get("name") == "csrfmiddlewaretoken":
            self._form = None

    def handle_endtag(self, tag: str) -> None:
        if tag == "form" and self._form:
            self.found.append(f"form to {self._form} without a token")
            self._form = None


def faults_of(path: str, response) -> list[str]:
    found = [f"{name} is {response.get(name)!r}" for name, value in HEADERS.items() if response.get(name) != value]
    if "Permissions-Policy" not in response:
        found.append("no Permissions-Policy")
    policy = {part.strip() for part in response.get("Content-Security-Policy", "").split(";")}
    if "text/html" in response.get("Content-Type", ""):
        reader = Faults()
        reader.feed(response.content.decode())
        found += reader.found
        found += [f"policy lacks {rule}" for rule in sorted(POLICY - policy)]
    return [f"{path}: {fault}" for fault in found]


@pytest.fixture
def somebody_who_may_all():
    user = add_person("powerful")
    for role in Role.objects.all():
        project = Project.objects.filter(slug="hidden-study").first() if role.scope == "project" else None
        RoleAssignment.objects.create(user=user, role=role, project=project)
    return browse(user)


def test_no_page_holds_anything_inline_or_secret_and_each_has_its_headers(request):
    parts = add_parts()
    client = request.getfixturevalue("somebody_who_may_all")
    paths = [address(page, parts) for page in ALL_PAGES] + ["/projects/no-such-page/", "/api/v2/", "/%00"]
    person = User.objects.get(username="powerful")
    person.set_password(PASSWORD)
    person.save()
    client = browse(person)
    backend = Backend.objects.get(slug="north")
    raw = [
        create_personal_token(person, "a program", ["read"], timezone.now() + timedelta(days=1), person),
        create_backend_token(backend, person),
    ]
    secrets = [*raw, *map(hashed, raw), person.password, settings.SECRET_KEY, client.session.session_key]
    faults = []
    for path in paths:
        response = client.get(path)
        assert response.status_code < 500 or path == "/readyz", path
        if not response.streaming:
            faults += faults_of(path, response)
            faults += [f"{path}: a secret" for secret in secrets if secret in response.content.decode(errors="replace")]
    assert not faults, "\n".join(faults)


def test_pages_of_sign_in_and_errors_are_the_same():
    clients = [Client(), browse(add_person("ann"))]
    names = [name for name in ALLAUTH_ACCESS if "callback" not in name and "webauthn" not in name]
    names = [name for name in names if name != "account_reset_password_from_key"]
    faults = [fault for client in clients for name in names for fault in faults_of(name, client.get(reverse(name)))]
    faults += faults_of("forged form", Client(enforce_csrf_checks=True).post("/accounts/login/"))
    faults += faults_of("wrong host", Client().get("/", headers={"host": "evil.example"}))
    reader = Faults()
    reader.feed(server_error(RequestFactory().get("/")).content.decode())
    assert not faults + reader.found, "\n".join(faults + reader.found)


def test_a_host_that_is_not_ours_is_refused():
    response = Client().get("/accounts/login/", headers={"host": "evil.example"})
    assert response.status_code == 400
    assert b"evil.example" not in response.content


def test_no_form_works_without_its_token():
    user = add_person("ann")
    parts = add_parts()
    client = browse(user, enforce_csrf_checks=True)
    open_ones = [
        page.path
        for page in ALL_PAGES
        if not page.path.startswith(("health", "ready"))
        for response in [client.post(address(page, parts), {"name": "x"})]
        if response.status_code < 400
    ]
    assert open_ones == []

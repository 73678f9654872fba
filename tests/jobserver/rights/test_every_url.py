"""Every URL with every role: whoever comes to the page, and whoever may not, as the table of rights says.

The expectation is worked out here from the shipped roles and the table's entry alone, not by the guard's own code. A
page that somebody adds is tried without being named here; a URL that stands in no table fails.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver
from tests.support import jobserver as rows
from tests.support.every_page import ALL_PAGES, PART, add_parts, address

from carrel.jobserver import account_urls, project_urls, rights_page, urls
from carrel.jobserver.api import first
from carrel.jobserver.api.app import ROOT
from carrel.jobserver.models import AuditEvent, Project, ProjectMembership, User
from carrel.jobserver.rights.access import Page
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.roles import DEFAULT_ROLES

pytestmark = pytest.mark.django_db

ROLES = {role.name: role for role in DEFAULT_ROLES}
GUARDED_PARTS = {"project", "workspace", "run", "rap_id", "job", "backend", "username"}
"""Parts that the guard turns into rows. What others name (a file, a short id) the view itself may not find."""

FINER = {
    "use-provider": "who has signed in shows again who they are",
    "run-cancel": "whoever asked for the run may cancel it too, and nobody else without the right",
    "job-cancel": "as run-cancel",
}
"""Pages whose view asks for more than the guard does, and why: they may refuse whom the guard lets in."""

FIND_NOTHING = {
    "data-table": "the address after `?` names the table",
    "workspace-notifications": "it takes a form alone",
}
"""Pages that a bare GET does not find, though one may open them."""


@dataclass(frozen=True)
class Visitor:
    """Somebody who tries all URLs. `role`: held in the project (`here`), in another one (`elsewhere`) or everywhere."""

    name: str
    role: str = ""
    where: str = ""
    is_known: bool = True

    def holds(self, permission: Permission, page: Page) -> bool:
        if not self.role or permission not in ROLES[self.role].permissions:
            return False
        in_project = ":project>" in page.path
        return {"everywhere": True, "here": in_project or page.access.anywhere, "elsewhere": page.access.anywhere}[
            self.where
        ]

    def may_know_the_project(self) -> bool:
        sees_all = self.where == "everywhere" and Permission.PROJECT_VIEW in ROLES[self.role].permissions
        return sees_all or self.where == "here"


def visitors() -> Iterator[Visitor]:
    yield Visitor("stranger", is_known=False)
    yield Visitor("closed account", is_known=False)
    yield Visitor("person without a role")
    for role in DEFAULT_ROLES:
        if role.scope != "global":
            yield Visitor(f"{role.name} here", role.name, "here")
            yield Visitor(f"{role.name} elsewhere", role.name, "elsewhere")
        if role.scope != "project":
            yield Visitor(f"{role.name} everywhere", role.name, "everywhere")


@pytest.fixture
def parts() -> dict[str, Any]:
    return add_parts()


def client_of(visitor: Visitor) -> Client:
    if visitor.name == "stranger":
        return Client()
    hidden = Project.objects.get(slug="hidden-study")
    project = {"here": hidden, "elsewhere": rows.add_project("another-study", is_listed=False)}.get(visitor.where)
    user = rows.add_person("visitor", *([visitor.role] if visitor.role else []), project=project)
    client = rows.browse(user)
    if visitor.name == "closed account":
        ProjectMembership.objects.create(project=hidden, user=user)
        User.objects.filter(pk=user.pk).update(is_active=False)
    return client


def expected(page: Page, visitor: Visitor) -> str:
    """`sign in`, `not found`, `refused` or `open`."""
    if page.access.signed_in and not visitor.is_known:
        return "sign in"
    # The person whom addresses name has run in this project alone.
    if (":project>" in page.path or ":username>" in page.path) and not visitor.may_know_the_project():
        return "not found"
    permission = page.access.permission
    return "open" if permission is None or visitor.holds(permission, page) else "refused"


def outcome(response: Any) -> str:
    if response.status_code in (302, 303) and response["Location"].startswith("/accounts/login/"):
        return "sign in"
    return {403: "refused", 404: "not found"}.get(response.status_code, "open")


@pytest.mark.parametrize("visitor", list(visitors()), ids=lambda visitor: visitor.name)
def test_every_page_opens_for_whom_it_should(visitor, parts):
    client = client_of(visitor)
    wrong = []
    for page in ALL_PAGES:
        wanted = expected(page, visitor)
        path = address(page, parts)
        response = client.get(path)
        found = outcome(response)
        others = page.name in FIND_NOTHING or any(part[2] not in GUARDED_PARTS for part in PART.finditer(page.path))
        by_view = others and found == "not found"
        finer = page.name in FINER and found in ("refused", "sign in")
        if found != wanted and not (wanted == "open" and (by_view or finer)):
            wrong.append(f"GET {path} ({page.name}): {found} ({response.status_code}), should be {wanted}")
        if response.status_code >= 500:
            wrong.append(f"GET {path} ({page.name}): {response.status_code}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("visitor", list(visitors()), ids=lambda visitor: visitor.name)
def test_no_form_does_anything_for_whom_it_should_not(visitor, parts):
    client = client_of(visitor)
    wrong = []
    for page in ALL_PAGES:
        wanted = expected(page, visitor)
        if wanted != "open":
            found = outcome(client.post(address(page, parts), {"name": "x", "confirm": "on"}))
            if found != wanted:
                wrong.append(f"POST {page.path} ({page.name}): {found}, should be {wanted}")
    assert not wrong, "\n".join(wrong)
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert actions <= {"access.refused"}, "somebody changed something who may not"


def patterns(entries: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for entry in entries:
        if isinstance(entry, URLResolver):
            yield from patterns(entry.url_patterns)
        else:
            yield entry


def test_every_url_stands_in_a_table():
    known = {page.name for page in ALL_PAGES} | set(account_urls.ALLAUTH_ACCESS) | set(account_urls.SWITCHED_OFF)
    of_site = [
        entry
        for entry in urls.urlpatterns
        if not str(entry.pattern).startswith(ROOT) and entry not in first.urlpatterns  # those have tables of their own
    ]
    unknown = [
        str(pattern.pattern)
        for pattern in patterns([*of_site, *project_urls.urlpatterns])
        if pattern.name not in known and not str(pattern.pattern).startswith("social/")
    ]
    assert unknown == [], "give each a Page, or list it in account_urls"


def test_names_and_paths_stand_once():
    names = [page.name for page in ALL_PAGES]
    paths = [page.path for page in ALL_PAGES]
    assert len(set(names)) == len(names)
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize("name", [*account_urls.ALLAUTH_ACCESS, *account_urls.SWITCHED_OFF])
def test_pages_of_the_library_are_as_the_table_says(name):
    entry = next(pattern for pattern in patterns(account_urls.urlpatterns) if pattern.name == name)
    off = name in account_urls.SWITCHED_OFF
    assert (entry.callback is account_urls.not_here) == off
    if off or not account_urls.ALLAUTH_ACCESS[name].signed_in:
        return
    path = "/accounts/" + re.sub(r"<int:pk>", "1", _path_of(name))
    response = Client().get(path)
    assert outcome(response) == "sign in" or response["Location"] == "/settings/security/", (path, response)


def _path_of(name: str) -> str:
    def walk(entries: list[URLPattern | URLResolver], prefix: str) -> Iterator[tuple[str, str | None]]:
        for entry in entries:
            if isinstance(entry, URLResolver):
                yield from walk(entry.url_patterns, prefix + str(entry.pattern))
            else:
                yield prefix + str(entry.pattern), entry.name

    return next(path for path, found in walk(account_urls.urlpatterns, "") if found == name)


def test_the_page_of_rights_is_what_the_code_says():
    page = Path(__file__).parents[3] / "docs" / "reference" / "job-server-rights.md"
    command = "python -m carrel.jobserver.rights_page > docs/reference/job-server-rights.md"
    assert page.read_text() == rights_page.page(), command


@pytest.mark.parametrize("visitor", [Visitor("stranger", is_known=False), Visitor("person without a role")])
def test_no_page_tells_outsiders_who_has_an_account(visitor, parts):
    """No answer depends on whether there is such a person, of whom nothing is public."""
    client = client_of(visitor)
    rows.add_person("silent")
    named = [page for page in ALL_PAGES if ":username>" in page.path]
    assert {"person-log", "staff-person", "project-member"} <= {page.name for page in named}
    statuses = {
        page.name: [client.get(address(page, {**parts, "username": name})).status_code for name in ("silent", "nobody")]
        for page in named
    }
    assert [name for name, (silent, nobody) in statuses.items() if silent != nobody] == []

"""What strangers, and people without rights, may neither see nor do, over HTTP as browsers and programs send it."""

import pytest
from playwright.sync_api import Browser
from tests.support.browser import Visit
from tests.support.served_showcase import CSRF_TOKEN, HIDDEN_BACKEND, HIDDEN_PROJECT, SESSION, ServedShowcase
from tests.support.showcase_pages import FURTHER, PART

from carrel.jobserver.project_urls import PROJECT_PAGES
from carrel.jobserver.urls import PAGES

pytestmark = pytest.mark.browser
API = (
    "openapi.json",
    "job-requests/",
    "workspaces/health-insurance-main/statuses/",
    f"workspaces/health-insurance-main/statuses/?backend={HIDDEN_BACKEND}",
    "workspaces/quokkas/statuses/",
    "workspaces/quokkas/status",
)
SECRET = (HIDDEN_BACKEND, HIDDEN_PROJECT, "quokka", "hal hidden")
OWN = ("settings/", "accounts/")
"""Where anybody who is signed in changes what is theirs."""
REFUSED = {403, 404, 405}
FURTHER_PARTS = {
    "pk": "1",
    "slug": "none",
    "name": "ProjectDeveloper",
    "token": "1",
    "prefix": "job",
    "provider": "github",
    "file": "none",
    "release": "none",
    "snapshot": "1",
}


def paths(shown: ServedShowcase) -> list[str]:
    """Every address of the site, with rows of the showcase; with words that name nothing where it has none."""
    parts = FURTHER_PARTS | shown.parts
    pages = [f"/{PART.sub(lambda match: parts[match[1]], page.path)}" for page in (*PAGES, *PROJECT_PAGES)]
    return [*(path for _, path, _ in FURTHER), *pages]


@pytest.mark.parametrize("username", ["", "vic", "ann"])
def test_what_is_hidden_shows_nowhere(shown: ServedShowcase, username: str) -> None:
    """Pages, parts of pages, feeds, exports, the search and the API."""
    searches = [f"/{kind}/?q={word}" for kind in ("search", "data", "projects") for word in ("extract", "visits")]
    with shown.client(username) as client:
        for path in [*paths(shown), *(f"/api/v2/{path}" for path in API), *searches]:
            answer = client.get(path)
            assert answer.status_code < 500 or answer.status_code == 503, path
            text = answer.text.casefold().replace(path.casefold(), "")
            assert not [word for word in SECRET if word in text], path


@pytest.mark.parametrize("username", ["", "vic", "ann"])
def test_what_is_hidden_answers_as_what_does_not_exist(shown: ServedShowcase, username: str) -> None:
    with shown.client(username) as client:
        for path in shown.hidden_paths:
            answer = client.get(path)
            refused = {302, 404} if path.startswith("/staff/") else {404}
            assert answer.status_code in refused, path
            words = answer.text.casefold().replace(path.strip("/").casefold(), "")
            assert "planted" not in words, path
        for query in ("quokka", HIDDEN_BACKEND, "hal"):
            assert "planted" not in client.get("/search/", params={"q": query}).text
            assert "/quokka-study/" not in client.get("/search/", params={"q": query}).text


@pytest.mark.parametrize("username", ["", "vic"])
def test_a_form_posted_by_hand_changes_nothing(shown: ServedShowcase, username: str) -> None:
    before = shown.state()
    with shown.client(username) as client:
        for path in paths(shown):
            if path.lstrip("/").startswith(OWN):
                continue
            form = {"csrfmiddlewaretoken": CSRF_TOKEN, "do": "switch", "name": "x", "tick": "north:extract"}
            answer = client.post(path, data=form)
            assert answer.status_code < 500, path
            if path.startswith("/staff/"):
                assert answer.status_code in REFUSED or answer.headers["Location"].startswith("/accounts/login/"), path
    assert shown.state() == before


@pytest.mark.parametrize("username", ["", "ann", "sam"])
def test_a_form_without_its_token_is_refused(shown: ServedShowcase, username: str) -> None:
    before = shown.state()
    with shown.client(username) as client:
        for path in paths(shown):
            for headers in ({}, {"Origin": "https://evil.example.org"}):
                answer = client.post(path, data={"do": "switch", "name": "x"}, headers=headers)
                assert answer.status_code in REFUSED, path
    assert shown.state() == before


@pytest.mark.parametrize(
    "path", ["/staff/", "/staff/backends/north/", "/usage/", "/health-insurance/people/", "/staff/audit/export.csv"]
)
def test_a_person_without_the_right_is_told_which(shown: ServedShowcase, path: str) -> None:
    with shown.client("vic") as client:
        answer = client.get(path)
        assert answer.status_code == 403
        assert "You may not do this" in answer.text
    with shown.client() as client:
        assert client.get(path).headers["Location"].startswith("/accounts/login/?next=")


@pytest.mark.parametrize(
    "target", ["https://evil.example.org/", "//evil.example.org/", "/\\evil.example.org", "javascript:alert(1)"]
)
def test_no_redirect_leads_away(shown: ServedShowcase, browser: Browser, target: str) -> None:
    with shown.client("ann") as client:
        for path in ("/accounts/login/", "/accounts/logout/", "/settings/", "/"):
            answer = client.get(path, params={"next": target})
            assert "evil.example.org" not in answer.headers.get("Location", "")
            assert "javascript" not in answer.headers.get("Location", "")
    for username in ("nobody", "ann"):
        with Visit(browser, shown.url) as visit:
            if username == "ann":
                cookie = {"name": SESSION, "value": shown.sessions["ann"], "url": shown.url}
                visit.context.add_cookies([cookie])
            visit.page.goto(f"/accounts/login/?next={target}")
            assert visit.page.url.startswith(shown.url)
            links = visit.page.eval_on_selector_all("a[href]", "links => links.map(link => link.href)")
            assert not [link for link in links if not link.startswith(shown.url)]

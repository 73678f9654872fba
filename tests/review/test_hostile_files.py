"""Hostile files opened in a browser on every tab: nothing runs, nothing is fetched, nothing breaks the page."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.core.handlers.wsgi import WSGIHandler
from playwright.sync_api import Browser, expect
from tests.support.browser import Visit, browser, served
from tests.support.databases import Database
from tests.support.hostile_files import OWNED, hostile_files
from tests.support.review import WORKSPACE, add_account, add_file, add_request, browse

from carrel.review import settings

__all__ = ["browser"]
pytestmark = pytest.mark.browser
CONTENT_TABS = ("files", "compare", "redact")
EDITABLE = (".csv", ".html", ".md", ".log", ".json")
OTHER_TABS = ("findings", "file-history", "backends", "code", "page", "content")


@dataclass
class Canary:
    """A port that nobody may even connect to."""

    url: str = ""
    asked: list[bytes] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[Canary]:
    canary = Canary()

    class Listener(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            canary.asked.append(b"connected")
            canary.asked.append(self.request.recv(1000))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Listener) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        canary.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield canary
        server.shutdown()
        thread.join()


def test_nothing_runs_and_nothing_is_fetched(
    browser: Browser, own_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "policy.yaml").write_text("file_types: [.csv, .html, .svg, .pdf, .png, .jpg, .md, .log, .json]\n")
    monkeypatch.setenv("REVIEW_POLICY", str(tmp_path / "policy.yaml"))
    settings.get.cache_clear()
    ann = add_account("ann", WORKSPACE)
    with listening() as canary, served(WSGIHandler()) as url, Visit(browser, url) as visit:
        files = hostile_files(canary.url)
        request, earlier = add_request(ann), add_request(ann, status="REJECTED", submitted_at="2026-11-01T10:00:00Z")
        for path, data in files.items():
            add_file(request, path, data)
            add_file(earlier, path, data.replace(b"Hostile", b"Earlier") + b" ")
        cookie = browse(ann).cookies["review_session"].value
        visit.context.add_cookies([{"name": "review_session", "value": cookie, "url": url}])
        answered: list[str] = []
        visit.page.on("response", lambda response: answered.append(response.url))
        base = f"/requests/{request.pk}"
        for path in files:
            for tab in CONTENT_TABS if path.endswith(EDITABLE) else CONTENT_TABS[:2]:
                page = visit.open(f"{base}/{tab}/{path}")
                assert page.title() != OWNED, (path, tab)
                expect(page.get_by_role("heading", level=1)).to_have_text(path)
                expect(page.get_by_role("complementary", name="About this file")).to_be_visible()
                assert canary.asked == [], (path, tab)
        for tab in OTHER_TABS:
            assert visit.open(f"{base}/{tab}/output/page.html").title() != OWNED or tab == "page"
        page = visit.open(f"{base}/files/output/page.html")
        framed = page.frame_locator("iframe.sandboxed")
        expect(framed.get_by_text("Hostile page")).to_be_visible()
        assert canary.asked == [], "before anything was pressed"
        for name in ("away", "run", "stay", "Send"):
            framed.get_by_text(name, exact=True).click()
        assert page.title() != OWNED
        assert page.url == f"{url}{base}/files/output/page.html"
        assert [address for address in answered if not address.startswith((url, "data:"))] == []
        assert canary.asked == []

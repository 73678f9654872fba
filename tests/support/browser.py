"""Debian's Chromium, driven by Playwright: pages as somebody sees them, and what the browser complained of.

A conftest imports the fixture `browser` (one Chromium for each module; it skips where there is none). A test opens a
`Visit` of a site: a window of its own, of a size and in colours, which notes errors of the console, violations of the
content security policy and exceptions of scripts. `serious_problems` asks axe, `scrolls_sideways`, `tab_stops` and
`screenshot` look at the page. `served` runs a WSGI application; a site with a database wants `own_database`, too.
"""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

WIDE, NARROW = 1280, 390
SERIOUS = ("serious", "critical")
STUB_BYTES = 10_000
"""Ubuntu's package of this name is a script that starts a snap."""


def missing() -> str:
    """Why there is no browser here; empty when there is one."""
    path = shutil.which("chromium")
    if path is None:
        return "there is no chromium in PATH"
    if Path(path).stat().st_size < STUB_BYTES and b"/snap/" in Path(path).read_bytes():
        return "chromium is Ubuntu's stub of a snap, which cannot be driven"
    return ""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window. Where it is missing, the test is skipped and says so.

    One for each module: while it is there, an event loop runs in this thread, and other tests could start none.
    """
    if reason := missing():
        pytest.skip(reason)
    with running_browser() as browser:
        yield browser


@contextmanager
def running_browser() -> Iterator[Browser]:
    # Its sandbox needs namespaces, which root does not get.
    arguments = ["--no-sandbox", "--disable-dev-shm-usage"] if os.geteuid() == 0 else []
    # Playwright's loop runs in this thread, where Django would refuse to ask the database; tests do not run in it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
            yield browser
            browser.close()
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


class Visit:
    """A window of its own (cookies, size, colours) on a site, and what went wrong in it."""

    def __init__(
        self, browser: Browser, url: str, *, width: int = WIDE, scheme: Any = "light", scripts: bool = True
    ) -> None:
        self.context = browser.new_context(
            base_url=url,
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=scripts,
            has_touch=width <= NARROW,
        )
        self.context.set_default_timeout(30_000)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(f"{self.page.url}: {error}"))

    def _note(self, message: ConsoleMessage) -> None:
        """Violations of the policy are errors of the console too. An error page is no complaint: tests ask for some."""
        if message.type in ("error", "warning") and "the server responded with a status of" not in message.text:
            self.complaints.append(f"{self.page.url}: {message.text}")

    def open(self, path: str) -> Page:
        self.page.goto(path)
        return self.page

    def __enter__(self) -> "Visit":
        return self

    def __exit__(self, *error: object) -> None:
        self.context.close()


def serious_problems(page: Page) -> list[str]:
    """What axe says is serious or worse: the rule, the element, what to mend."""
    violations = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{violation['id']}: {node['html'][:200]} ({node.get('failureSummary', '')})"
        for violation in violations
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
    ]


def scrolls_sideways(page: Page) -> bool:
    """Whether the page itself is wider than its window; boxes that scroll by themselves do not count."""
    width = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    return bool(page.evaluate(width))


_FOCUS = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const style = getComputedStyle(element);
  const drawn = element.querySelector("rect");
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1
    || (drawn && parseFloat(getComputedStyle(drawn).strokeWidth) >= 2);
  window.focusNumber = (window.focusNumber || 0) + 1;
  const again = element.dataset.focusNumber !== undefined;
  if (!again) element.dataset.focusNumber = window.focusNumber;
  const label = element.getAttribute("aria-label") || element.textContent.trim() || element.name || "";
  return { again, ring: Boolean(ring), name: `${element.tagName.toLowerCase()} ${label}`.slice(0, 80) };
}"""


def tab_stops(page: Page, most: int = 400) -> list[tuple[str, bool]]:
    """Press Tab until the page has been gone through: each stop's name, and whether its focus can be seen."""
    stops = []
    for _ in range(most):
        page.keyboard.press("Tab")
        stop = page.evaluate(_FOCUS)
        if stop is None or stop["again"]:
            break
        stops.append((stop["name"], stop["ring"]))
    return stops


def screenshot(page: Page, path: Path, *, whole: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=whole, animations="disabled")


@contextmanager
def served(application: Any) -> Iterator[str]:
    """Serve a WSGI application from threads of this process on a free port; gives its address."""
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """A test's own output is enough."""

    server = ThreadedWSGIServer(("127.0.0.1", 0), Quiet)
    server.set_app(application)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

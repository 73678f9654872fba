"""Debian's Chromium, driven by Playwright: pages as somebody sees them, and what the browser complained of.

`browser_session()` starts it once; `BrowserPage` collects errors of the console, violations of the content security
policy and failed requests; `serious_problems` asks axe; `scrolls_sideways` and `screenshot` look at the layout.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

WIDE, NARROW = 1280, 390
SERIOUS = ("serious", "critical")


def missing() -> str:
    """Why there is no browser here; empty when there is one. Ubuntu's package is a stub that installs a snap."""
    path = shutil.which("chromium")
    if path is None:
        return "there is no chromium in PATH"
    if Path(path).stat().st_size < 10_000 and "snap" in Path(path).read_text(errors="replace"):
        return "chromium is Ubuntu's stub of a snap, which cannot be driven"
    return ""


@contextmanager
def browser_session() -> Iterator[Browser]:
    """Start Chromium without a window; it ends with the block."""
    # Its sandbox needs namespaces that root has none of.
    arguments = ["--no-sandbox", "--disable-dev-shm-usage"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        try:
            yield browser
        finally:
            browser.close()


class BrowserPage:
    """One page in a context of its own (cookies, size, colours), and what went wrong in it."""

    def __init__(
        self, browser: Browser, base_url: str, width: int = WIDE, scheme: str = "light", **options: Any
    ) -> None:
        self.context: BrowserContext = browser.new_context(
            base_url=base_url, viewport={"width": width, "height": 900}, color_scheme=scheme, **options
        )
        self.context.set_default_timeout(30_000)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(f"{self.page.url}: {error}"))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{self.page.url}: {message.text}")

    def open(self, path: str) -> Page:
        self.page.goto(path)
        return self.page

    def close(self) -> None:
        self.context.close()


def serious_problems(page: Page) -> list[str]:
    """What axe finds that is serious or worse: rule, and the elements."""
    violations = Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {node['html'][:200]} ({node.get('failureSummary', '')})"
        for violation in violations
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
    ]


def scrolls_sideways(page: Page) -> bool:
    """Whether the page itself is wider than its window; boxes that scroll by themselves do not count."""
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def screenshot(page: Page, path: Path, *, whole: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=whole, animations="disabled")

"""Every page in light and dark: axe, nothing scrolls sideways on a phone, the console is silent, no backend's words
stand under another's name."""

from collections import Counter
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from tests.support.browser import NARROW, WIDE, Visit, scrolls_sideways, serious_problems
from tests.support.served_showcase import PLANTED, SESSION, ServedShowcase
from tests.support.showcase_pages import is_a_page, pages_of

pytestmark = pytest.mark.browser
PARTS = (
    "project",
    "workspace",
    "run",
    "job",
    "rap_id",
    "backend",
    "username",
    "commit",
    "slug",
    "name",
    "release",
    "snapshot",
    "draft",
    "file",
    "newer_file",
)
ANY = dict.fromkeys(PARTS, "any")
NAMES = [name for name, _, _ in pages_of(ANY)]


@pytest.fixture(scope="module")
def visits(browser: Browser, shown: ServedShowcase) -> Iterator[dict[str, Visit]]:
    """A window for each person, signed in."""
    windows = {name: Visit(browser, shown.url) for name in ("nobody", "ann", "ben", "sam")}
    for name in ("ann", "ben", "sam"):
        cookie = {"name": SESSION, "value": shown.sessions[name], "url": shown.url}
        windows[name].context.add_cookies([cookie])
    yield windows
    for window in windows.values():
        window.context.close()


def page_named(shown: ServedShowcase, name: str) -> tuple[str, str]:
    """Its path and who looks at it; the path is empty for what is no page."""
    path, by = next((path, by) for page, path, by in pages_of(shown.parts) if page == name)
    with shown.client("" if by == "nobody" else by) as client:
        answer = client.get(path, follow_redirects=True)
    assert answer.status_code < 500
    return (path if is_a_page(answer) else ""), by


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_for_everybody(shown: ServedShowcase, visits: dict[str, Visit], name: str) -> None:
    path, by = page_named(shown, name)
    if not path:
        return
    visit = visits[by]
    visit.complaints.clear()
    page = visit.page
    for width, scheme in ((WIDE, "light"), (NARROW, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        if scheme == "light":
            visit.open(path)
        assert serious_problems(page) == [], scheme
    assert not scrolls_sideways(page)
    assert visit.complaints == []


OF_BACKENDS = """(names) => {
  const pieces = [];
  const starts = (cell) => names.find((name) => cell && cell.textContent.trim().startsWith(name));
  for (const table of document.querySelectorAll("main table")) {
    const heads = table.tHead ? [...table.tHead.rows[0].cells] : [];
    const which = heads.findIndex((cell) => cell.textContent.trim() === "Backend");
    for (const row of [...table.tBodies].flatMap((body) => [...body.rows])) {
      heads.forEach((head, place) => {
        if (starts(head) && row.cells[place]) pieces.push([starts(head), row.cells[place].outerHTML]);
      });
      const name = which >= 0 && row.cells[which] && starts(row.cells[which]);
      if (name) pieces.push([name, row.outerHTML]);
    }
  }
  for (const name of names) {
    const inside = [`[data-column="${name}"]`, `#on-${name}`, `[aria-label="On ${name}"]`, `[aria-label="${name}"]`];
    for (const element of document.querySelectorAll(inside.join())) pieces.push([name, element.outerHTML]);
  }
  for (const element of document.querySelectorAll("main section, main article")) {
    const name = starts(element.querySelector("h2, h3"));
    if (name) pieces.push([name, element.outerHTML]);
  }
  return pieces;
}"""


def test_nothing_of_one_backend_shows_under_another(shown: ServedShowcase, visits: dict[str, Visit]) -> None:
    """Words are planted in what each backend says of itself, its requests, jobs and data."""
    told: Counter[tuple[str, str]] = Counter()
    for name in NAMES:
        path, by = page_named(shown, name)
        if not path:
            continue
        visits[by].open(path)
        for backend, html in visits[by].page.evaluate(OF_BACKENDS, list(shown.jobs)):
            assert set(PLANTED.findall(html)) <= {backend}, (name, backend, html)
            told[name, backend] += len(PLANTED.findall(html))
    assert {name for (name, _), count in told.items() if count} >= {"run", "runs", "workspace", "status", "project"}


def test_pages_of_one_backend_tell_of_no_other(shown: ServedShowcase) -> None:
    with shown.client("sam") as client:
        for backend, job in shown.jobs.items():
            for path in (job, f"{job}parts/", f"/data/{backend}/", f"/data/{backend}/history/", f"/status/{backend}/"):
                answer = client.get(path)
                assert answer.is_success, path
                assert set(PLANTED.findall(answer.text)) <= {backend}, path
            assert PLANTED.findall(client.get(job).text)
            runs = client.get("/runs/", params={"backend": backend}).text
            assert set(PLANTED.findall(runs)) == {backend}

"""Pictures of every page of the job server, with realistic data: light and dark, wide and narrow.

They go to `build/screenshots`, which git ignores: they are for looking at. `python scripts/screenshots.py [PART ...]`
takes all pages, or those whose name holds one of these parts. `--pictures` takes those that the documentation shows
instead, into `docs/pictures`: a window's first screen, light.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]
FOLDER = ROOT / "build" / "screenshots"
PICTURES = ROOT / "docs" / "pictures"
SHOWN = {
    "home": ("home", 720),
    "workspace": ("workspace", 640),
    "run-page": ("run-actions", 900),
    "run": ("run", 860),
    "job": ("job", 760),
    "schedules": ("schedules", 480),
    "project-people": ("project-people", 560),
    "usage": ("project-usage", 700),
    "data": ("data-search", 480),
    "status": ("status", 570),
    "backend": ("staff-backend", 860),
    "setup": ("staff-backend-setup", 800),
    "audit": ("audit-filtered", 700),
}
"""Pictures of the documentation: the file's name, the page's name, and how many pixels of it from the top."""
PRESSED = {"run-page": "failed"}
"""Buttons to press before the picture is taken."""
RENAMED = """folder => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(folder, "/srv/git");
}"""
"""No picture shows where this machine keeps the showcase's repositories."""


def main(wanted_names: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="carrel-screenshots-") as scratch:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "carrel.web.settings",
            "CARREL_APPS": "jobserver",
            "WORKDIR": str(Path(scratch) / "work"),
            "JOBSERVER_URL": "http://127.0.0.1",
            "ALLOW_LOCAL_GIT_REPOS": "true",
        }
        (Path(scratch) / "work").mkdir()
        import django

        django.setup()
        if wanted_names == ["--pictures"]:
            take_pictures(Path(scratch))
        else:
            take_all(Path(scratch), wanted_names)


def take_all(scratch: Path, wanted_names: list[str]) -> None:
    from tests.support.browser import NARROW, WIDE, screenshot
    from tests.support.showcase_pages import pages_of, parts_of

    if not wanted_names:
        shutil.rmtree(FOLDER, ignore_errors=True)
    with site(scratch) as (showcase, visits):
        pages = [
            each
            for each in pages_of(parts_of(showcase))
            if not wanted_names or any(part in each[0] for part in wanted_names)
        ]
        for scheme, width in (("light", WIDE), ("dark", WIDE), ("light", NARROW), ("dark", NARROW)):
            for name, page in visits(pages, scheme, width):
                screenshot(page, FOLDER / f"{name}-{scheme}-{width}.png")
    print(f"{len(pages)} pages, four pictures of each, in {FOLDER.relative_to(ROOT)}/")


def take_pictures(scratch: Path) -> None:
    """Take those of the documentation, in the place of all that are there."""
    from tests.support.browser import WIDE, screenshot
    from tests.support.showcase_pages import pages_of, parts_of

    shutil.rmtree(PICTURES, ignore_errors=True)
    with site(scratch) as (showcase, visits):
        by_page = {page: (picture, height) for picture, (page, height) in SHOWN.items()}
        pages = [each for each in pages_of(parts_of(showcase)) if each[0] in by_page]
        for name, page in visits(pages, "light", WIDE):
            picture, height = by_page[name]
            page.set_viewport_size({"width": WIDE, "height": height})
            if picture in PRESSED:
                page.get_by_role("button", name=PRESSED[picture], exact=True).click()
                page.wait_for_load_state("networkidle")
            page.evaluate(RENAMED, str(scratch))
            screenshot(page, PICTURES / f"{picture}.png", whole=False)
    for path in sorted(PICTURES.iterdir()):
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size // 1000} kB")


Visits = Callable[[list[tuple[str, str, str]], str, int], Iterator[tuple[str, Any]]]


@contextmanager
def site(scratch: Path) -> Iterator[tuple[Any, Visits]]:
    """The showcase on a site of its own, and what opens its pages one by one, each as the person who looks at it."""
    from django.core.management import call_command
    from tests.support.browser import Visit, running_browser, served
    from tests.support.jobserver import browse
    from tests.support.showcase import add_showcase
    from tests.support.showcase_pages import is_a_page
    from tests.support.showcase_site import add_site

    from carrel.web.wsgi import application

    call_command("migrate", verbosity=0)
    showcase = add_showcase(scratch)
    add_site(showcase)
    people = {"ann": showcase.researcher, "ben": showcase.lead, "sam": showcase.staff, "nobody": None}
    clients = {name: browse(who) for name, who in people.items()}
    with served(application) as url, running_browser() as browser:

        def visits(pages: list[tuple[str, str, str]], scheme: str, width: int) -> Iterator[tuple[str, Any]]:
            for person, client in clients.items():
                with Visit(browser, url, width=width, scheme=scheme) as visit:
                    if person != "nobody":
                        session = client.cookies["carrel_session"].value
                        visit.context.add_cookies([{"name": "carrel_session", "value": session, "url": url}])
                    for name, path, by in pages:
                        if by == person and is_a_page(client.get(path, SERVER_NAME="127.0.0.1")):
                            yield name, visit.open(path)
                    for complaint in dict.fromkeys(visit.complaints):
                        print(f"{scheme} {width}: {complaint}")

        yield showcase, visits


if __name__ == "__main__":
    main(sys.argv[1:])

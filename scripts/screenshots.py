"""Pictures of every page of the job server, with realistic data: light and dark, wide and narrow.

They go to `build/screenshots`, which git ignores: they are for looking at. `python scripts/screenshots.py [PART ...]`
takes all pages, or those whose name holds one of these parts.
"""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]
FOLDER = ROOT / "build" / "screenshots"
DOWNLOADS = (".csv", ".jsonl", ".xml")
PART = re.compile(r"<(?:\w+:)?(\w+)>")


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
        take_all(Path(scratch), wanted_names)


def take_all(scratch: Path, wanted_names: list[str]) -> None:
    from django.core.management import call_command
    from tests.support.browser import NARROW, WIDE, Visit, running_browser, screenshot, served
    from tests.support.jobserver import browse
    from tests.support.showcase import add_showcase
    from tests.support.showcase_site import add_site

    from carrel.web.wsgi import application

    call_command("migrate", verbosity=0)
    showcase = add_showcase(scratch)
    add_site(showcase)
    if not wanted_names:
        shutil.rmtree(FOLDER, ignore_errors=True)
    clients = {"ann": browse(showcase.researcher), "sam": browse(showcase.staff), "nobody": browse()}
    pages = [
        (name, path, by)
        for name, path, by in pages_of(showcase)
        if not wanted_names or any(part in name for part in wanted_names)
        if is_a_page(clients[by], path)
    ]
    with served(application) as url, running_browser() as browser:
        for scheme, width in (("light", WIDE), ("dark", WIDE), ("light", NARROW), ("dark", NARROW)):
            for person, client in clients.items():
                with Visit(browser, url, width=width, scheme=scheme) as visit:
                    if person != "nobody":
                        session = client.cookies["carrel_session"].value
                        visit.context.add_cookies([{"name": "carrel_session", "value": session, "url": url}])
                    for name, path, by in pages:
                        if by != person:
                            continue
                        visit.open(path)
                        screenshot(visit.page, FOLDER / f"{name}-{scheme}-{width}.png")
                    for complaint in dict.fromkeys(visit.complaints):
                        print(f"{scheme} {width}: {complaint}")
    print(f"{len(pages)} pages, four pictures of each, in {FOLDER.relative_to(ROOT)}/")


def is_a_page(client: Any, path: str) -> bool:
    """Not a file, a feed, a part of a page, or an address that only takes forms."""
    answer = client.get(path, SERVER_NAME="127.0.0.1")
    return (
        answer["Content-Type"].startswith("text/html")
        and answer.status_code in (200, 403, 404)
        and b"<html" in answer.content
    )


def pages_of(showcase: Any) -> Iterator[tuple[str, str, str]]:
    """Each page's name, its path for the showcase, and who looks at it: staff at theirs, a researcher at the others."""
    from carrel.jobserver.project_urls import PROJECT_PAGES
    from carrel.jobserver.urls import PAGES

    parts = {
        "project": showcase.project.slug,
        "workspace": showcase.workspace.name,
        "run": showcase.running.pk,
        "job": showcase.failed_job.identifier,
        "rap_id": showcase.failed_job.request.identifier,
        "backend": "north",
        "username": "ann",
        "slug": "leiford",
        "name": "OutputChecker",
    }
    yield "home-signed-out", "/", "nobody"
    yield "register-signed-out", "/register/", "nobody"
    yield "data-table-patients", "/data/table/?name=patients", "ann"
    yield "data-search", "/data/?q=patient", "ann"
    yield "search-patient", "/search/?q=patient", "ann"
    yield "sign-in", "/accounts/login/", "nobody"
    yield "not-found", "/no/such/page/here/", "ann"
    for page in (*PAGES, *PROJECT_PAGES):
        names = PART.findall(page.path)
        if all(name in parts for name in names) and not page.path.endswith(DOWNLOADS):
            path = PART.sub(lambda match: str(parts[match[1]]), page.path)
            yield page.name, f"/{path}", "sam" if path.startswith(("staff/", "usage/")) else "ann"


if __name__ == "__main__":
    main(sys.argv[1:])

"""Pictures of every page of the review site, light and dark, wide and narrow, in `build/screenshots`: to be looked at.

`python scripts/review_screenshots.py [PART ...]` takes all pages, or those whose name holds one of these parts.
"""

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]
FOLDER = ROOT / "build" / "screenshots"


def main(parts: list[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="carrel-screenshots-") as scratch:
        work, medium = Path(scratch) / "work", Path(scratch) / "medium_privacy"
        work.mkdir()
        (medium / "workspaces").mkdir(parents=True)
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "carrel.web.settings",
            "CARREL_APPS": "review",
            "WORKDIR": str(work),
            "MEDIUM_PRIVACY_STORAGE_BASE": str(medium),
            "REVIEW_URL": "http://127.0.0.1",
            "BACKEND": "north",
        }
        import django

        django.setup()
        take_all(parts)


def take_all(parts: list[str]) -> None:
    from django.core.management import call_command
    from tests.support.browser import NARROW, WIDE, Visit, running_browser, screenshot, scrolls_sideways, served
    from tests.support.review import browse
    from tests.support.review_pages import review_pages
    from tests.support.review_showcase import add_review_showcase

    from carrel.web.wsgi import application

    call_command("migrate", verbosity=0)
    showcase = add_review_showcase()
    sessions = {account.pk: browse(account).cookies["review_session"].value for account in (showcase.ann, showcase.sam)}
    pages = [page for page in review_pages(showcase) if not parts or any(part in page[0] for part in parts)]
    with served(application) as url, running_browser() as browser:
        for scheme, width in (("light", WIDE), ("dark", WIDE), ("light", NARROW), ("dark", NARROW)):
            for username, session in sessions.items():
                with Visit(browser, url, width=width, scheme=scheme) as visit:
                    visit.context.add_cookies([{"name": "review_session", "value": session, "url": url}])
                    for name, path, by in pages:
                        if by == username:
                            page = visit.open(path)
                            screenshot(page, FOLDER / f"{name}-{scheme}-{width}.png")
                            if scrolls_sideways(page):
                                print(f"{name} scrolls sideways at {width}")
                    for complaint in dict.fromkeys(visit.complaints):
                        print(f"{scheme} {width}: {complaint}")
    print(f"{len(pages)} pages, four pictures of each, in {FOLDER.relative_to(ROOT)}/")


if __name__ == "__main__":
    main(sys.argv[1:])

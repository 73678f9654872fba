"""What stands round every page: navigation, the site's name, the person."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from carrel.pages.formats import count_text
from carrel.pages.frame import AlertLevel, PageFrame, PageLink, PersonMenu, SiteAlert
from carrel.review import settings
from carrel.review.accounts import viewer_of
from carrel.review.queries.stuck import stuck_requests
from carrel.review.viewers import Viewer

NAVIGATION: list[tuple[str, str]] = [("Workspaces", "workspaces"), ("Requests", "home")]
"""Label and URL name of what the header links to, in order."""


def chrome(request: HttpRequest) -> dict[str, Any]:
    """Context of every template; the database is asked only where a template shows the frame."""
    if not hasattr(request, "session"):
        return {}
    viewer = viewer_of(request)
    return {"viewer": viewer, "frame": SimpleLazyObject(lambda: _frame(request, viewer))}


def _frame(request: HttpRequest, viewer: Viewer | None) -> PageFrame:
    return PageFrame(
        site_label=f"review · {settings.get().backend}",
        nav=tuple(PageLink(label, url := reverse(name), current=request.path == url) for label, name in NAVIGATION)
        if viewer
        else (),
        person=PersonMenu(
            name=viewer.fullname,
            links=(PageLink(_role(viewer)),),
            sign_out_url=reverse("sign_out"),
        )
        if viewer
        else None,
        sign_in_url=reverse("sign_in"),
        alerts=_alerts() if viewer and viewer.is_checker else (),
    )


def _alerts() -> tuple[SiteAlert, ...]:
    """Tell output checkers of what cannot leave although it was tried again and again."""
    stuck = stuck_requests()
    if not stuck:
        return ()
    reason = next(iter(stuck.values()))
    text = (
        f"{count_text(len(stuck), 'request')} cannot be sent to the job server. {reason} It is tried again by itself."
    )
    return (SiteAlert(text, AlertLevel.WARNING, "Uploads fail."),)


def _role(viewer: Viewer) -> str:
    """Say what somebody may open and do, as the header has it: `level 4 · output checker`."""
    levels = f"level {' and '.join(map(str, sorted(viewer.levels)))}" if viewer.levels else "no level"
    return f"{levels} · output checker" if viewer.is_checker else levels

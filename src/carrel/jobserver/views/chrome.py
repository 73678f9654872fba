"""What stands round every page: navigation, the backends' dots, alerts, the person."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from carrel.jobserver import settings
from carrel.jobserver.backend_standing import standing_of
from carrel.jobserver.models import Alert, Backend, User
from carrel.jobserver.rights.access import CarrelRequest, identify
from carrel.jobserver.rights.grants import Rights
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.visibility import visible_backends
from carrel.jobserver.service.accounts import mail_is_configured
from carrel.pages.frame import AlertLevel, BackendDot, BackendState, PageFrame, PageLink, PersonMenu, SiteAlert

NAVIGATION: list[tuple[str, str]] = [("Projects", "projects"), ("Runs", "runs"), ("Data", "data"), ("Status", "status")]
"""Label and URL name of what the header links to, in order."""


def chrome(request: HttpRequest) -> dict[str, Any]:
    """Context of every template; the database is asked only where a template shows the frame."""
    if not hasattr(request, "user"):
        return {}
    known = identify(request)
    return {
        "frame": SimpleLazyObject(lambda: _frame(known)),
        "person": known.person,
        "rights": known.rights,
        "sends_mail": mail_is_configured(),
    }


def _frame(request: CarrelRequest) -> PageFrame:
    backends = visible_backends(request.person, request.rights).filter(is_active=True)
    alerts = Alert.objects.all() if request.person else ()
    menu = _menu(request.person, request.rights) if request.person else None
    return PageFrame(
        site_name=settings.get().jobserver_name,
        nav=tuple(
            PageLink(label, url := reverse(name), current=request.path.startswith(url)) for label, name in NAVIGATION
        ),
        search_url=reverse("search"),
        backends=tuple(dot_of(backend) for backend in backends),
        footer_links=(
            PageLink("Public register", reverse("register")),
            PageLink("Organisations", reverse("organisations")),
            PageLink("Machine API", reverse("api-page")),
        ),
        person=menu,
        sign_in_url=reverse("account_login"),
        alerts=tuple(SiteAlert(alert.message, AlertLevel(alert.level), alert.title) for alert in alerts),
    )


def _menu(person: User, rights: Rights) -> PersonMenu:
    links = [
        PageLink("Settings", reverse("settings")),
        PageLink("Your page", reverse("person", kwargs={"username": person.username})),
    ]
    if rights.holds_anywhere(Permission.SNAPSHOT_PUBLISH):
        links.append(PageLink("Drafts to publish", reverse("publications")))
    if rights.holds(Permission.STAFF_AREA_ACCESS):
        links.append(PageLink("Staff area", reverse("staff")))
    return PersonMenu(name=person.fullname, links=tuple(links), sign_out_url=reverse("account_logout"))


def dot_of(backend: Backend) -> BackendDot:
    """Return a backend's dot in the header: as its card on the status page says."""
    standing = standing_of(backend, timezone.now())
    state = standing.state or BackendState.UNKNOWN
    return BackendDot(backend.name, state, standing.word.lower(), f"{reverse('status')}#{backend.slug}")

"""What a site hands to `pages/base.html`: the one value `frame` of every template's context, and `crumbs` where wanted.

A site makes it in a context processor; the template works without it too (an error page of a broken site).
"""

from dataclasses import dataclass
from enum import StrEnum


class BackendState(StrEnum):
    """What a backend is doing, as its dot shows it."""

    UP = "up"
    PAUSED = "paused"
    MAINTENANCE = "maintenance"
    MISSING = "missing"
    UNKNOWN = "unknown"
    """It was never heard of."""


class AlertLevel(StrEnum):
    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    DANGER = "danger"


@dataclass(frozen=True, slots=True)
class PageLink:
    """An entry of a navigation, a menu, tabs or breadcrumbs. `count` stands behind the label, when there is one."""

    label: str
    url: str = ""
    current: bool = False
    count: int | None = None


@dataclass(frozen=True, slots=True)
class BackendDot:
    """One backend in the header; `words` say how it is: `up, 2 running`."""

    name: str
    state: BackendState
    words: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class PersonMenu:
    """Who is signed in, the links of their menu, and where the form that signs out posts to."""

    name: str
    links: tuple[PageLink, ...] = ()
    sign_out_url: str = ""


@dataclass(frozen=True, slots=True)
class SiteAlert:
    """A banner above every page."""

    text: str
    level: AlertLevel = AlertLevel.INFO
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFrame:
    """All that stands round a page. `person` None: nobody is signed in. An empty `search_url` means no search."""

    site_name: str = "carrel"
    site_label: str = ""
    """A pill beside the name: `review · south`."""
    home_url: str = "/"
    nav: tuple[PageLink, ...] = ()
    search_url: str = ""
    backends: tuple[BackendDot, ...] = ()
    person: PersonMenu | None = None
    sign_in_url: str = ""
    alerts: tuple[SiteAlert, ...] = ()
    footer_links: tuple[PageLink, ...] = ()

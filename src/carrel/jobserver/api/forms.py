"""How values look in answers: times, addresses, pages of lists."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest


def iso(moment: datetime | None) -> str | None:
    """UTC in ISO 8601, to the microsecond where there is any."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def absolute(request: HttpRequest, path: str) -> str:
    """Return an address of ours as the caller reaches it; behind a proxy that speaks TLS for us, with https."""
    own = urlsplit(settings.JOBSERVER_URL)
    return f"{settings.JOBSERVER_URL}{path}" if request.get_host() == own.netloc else request.build_absolute_uri(path)


def page_of(
    request: HttpRequest, rows: QuerySet[Any], limit: int, offset: int
) -> tuple[int, str | None, str | None, list[Any]]:
    """Return the number of all rows, the addresses of the next and previous page, and this page's rows."""
    count = rows.count()

    def address(start: int) -> str:
        query = {**request.GET.dict(), "limit": limit, "offset": start}
        return absolute(request, f"{request.path}?{urlencode(query)}")

    following = address(offset + limit) if offset + limit < count else None
    previous = address(max(0, offset - limit)) if offset > 0 else None
    return count, following, previous, list(rows[offset : offset + limit])

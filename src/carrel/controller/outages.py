"""An outage is answered as one: 503 with Retry-After, never as a refusal that makes a client drop its request."""

import logging
from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse

from carrel.messages.rap import ErrorResponse

logger = logging.getLogger(__name__)

DATABASE_AWAY = (OperationalError, InterfaceError)
"""The database does not answer, is full or is locked for too long: nobody's request is at fault."""
RETRY_AFTER = 10
"""Seconds after which asking again makes sense."""


class OutageMiddleware:
    """Turns a view's loss of the database into the answer above."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, DATABASE_AWAY):
            return None
        logger.error("%s %s could not be answered: no database.", request.method, request.path, exc_info=exception)
        return unavailable("The controller's database does not answer just now. Please try again.")


def unavailable(details: str, error: str = "Service unavailable") -> HttpResponse:
    """503: what was asked for may be asked for again, and nothing has become of it."""
    body = ErrorResponse(error=error, details=details).model_dump_json()
    headers = {"Retry-After": str(RETRY_AFTER)}
    return HttpResponse(body, status=503, content_type="application/json", headers=headers)

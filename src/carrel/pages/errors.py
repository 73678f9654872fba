"""Error pages: what happened, why, what to do, in that order. They look like the rest.

A site names them in its URLs: `handler404 = "carrel.pages.errors.not_found"` and so on, and `CSRF_FAILURE_VIEW`.
"""

import logging
import secrets

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

logger = logging.getLogger(__name__)
TEMPLATE = "pages/errors/error.html"


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    reason = "The address or the form that was sent holds something that this page cannot read."
    return error_page(
        request, 400, "This could not be understood", reason, "Go back, look at what was entered, and try again."
    )


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """A refusal that names no right; whoever knows it says it with `error_page`, and who can grant it."""
    reason = "It needs a right that you do not have here."
    return error_page(request, 403, "You may not do this", reason, "Ask those who run this site for it.")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form was old, or came from elsewhere. Django's reason is for developers, so it is not shown."""
    why = "The form was open for too long, or you signed in or out in another window since."
    return error_page(request, 403, "This form is no longer valid", why, "Go back, reload the page, and send it again.")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    reason = "Nothing is at this address, or you may not see what is."
    next_step = "Check the address. If a link of this site led here, tell those who run it, with the reference."
    return error_page(request, 404, "There is no such page", reason, next_step, reference_of(request))


def too_many_requests(request: HttpRequest, retry_after: int = 60) -> HttpResponse:
    reason = "More was asked in a short time than is allowed."
    response = error_page(request, 429, "Too many requests", reason, f"Wait {retry_after} seconds, then try again.")
    response["Retry-After"] = str(retry_after)
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """Made without the request's context: whatever failed may be what makes it."""
    context = {
        "title": "Something went wrong on our side",
        "reason": "The error was recorded. Nothing that you entered was at fault.",
        "next_step": "Try again in a minute. If it happens again, tell those who run this site, with the reference.",
        "reference": reference_of(request),
    }
    return HttpResponse(render_to_string(TEMPLATE, context), status=500)


def error_page(
    request: HttpRequest, status: int, title: str, reason: str, next_step: str, reference: str = ""
) -> HttpResponse:
    """Answer with a page that says what happened, why, and what to do."""
    context = {"title": title, "reason": reason, "next_step": next_step, "reference": reference}
    return HttpResponse(render_to_string(TEMPLATE, context, request), status=status)


def reference_of(request: HttpRequest) -> str:
    """Return eight characters by which the page and the log can be held together."""
    reference = secrets.token_hex(4)
    logger.warning("An error page was shown: reference %s, %s %s", reference, request.method, request.path)
    return reference

"""What pages that change something share: do it, say how it went, go on."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from carrel.review.access import ReviewRequest
from carrel.review.machine import MoveRefused
from carrel.review.rules import ActRefused


def done(request: ReviewRequest, change: Callable[[], Any], url: str, success: str = "") -> HttpResponse:
    """Make a change and go to `url`; the page there says that it is done, or why it was refused."""
    try:
        change()
    except (ActRefused, MoveRefused) as error:
        messages.error(request, str(error))
    else:
        if success:
            messages.success(request, success)
    return redirect(url)


def onward(request: ReviewRequest, name: str, *parts: Any) -> str:
    """Return where the form that was posted says to go on (`next`, on this site), or else the named page."""
    url = request.POST.get("next", "")
    if url.startswith("/") and url_has_allowed_host_and_scheme(url, {request.get_host()}, request.is_secure()):
        return url
    return reverse(name, args=parts)

"""`{% load review %}`: what the review site's templates say in their own words."""

from django import template
from django.template.context import RequestContext
from django.utils.safestring import SafeString

from carrel.pages.lists import url_with
from carrel.pages.templatetags.pages import chip_of
from carrel.review.machine import STATES, ReviewStatus
from carrel.review.models import ReleaseRequest
from carrel.review.views.standing import FAMILIES

register = template.Library()


@register.simple_tag
def request_chip(row: ReleaseRequest) -> SafeString:
    """Return the chip of a request's status."""
    status = ReviewStatus(row.status)
    return chip_of(FAMILIES[status], STATES[status].words, status)


@register.simple_tag(takes_context=True)
def with_query(context: RequestContext, **changes: object) -> str:
    """Return this page's address with some parameters changed; None takes one off, and the page is the first again."""
    texts = {name: None if value is None else str(value) for name, value in changes.items()}
    return url_with(context["request"].GET, **texts)


@register.filter
def plain_number(value: float | None) -> str:
    """Return a number as people write it: whole ones without a point; `–` for none."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:,.6g}"

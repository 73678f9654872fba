"""`{% load jobserver %}`: what only the job server's templates need."""

from datetime import date
from typing import Any

from django import template

from carrel.pages.templatetags.pages import day

register = template.Library()
LONGEST = 400


@register.filter
def compact(value: Any) -> str:
    """Write what the audit log keeps of a value in one line: `name: Alpha, ends_on: 2027-01-01`."""
    if isinstance(value, dict):
        text = ", ".join(f"{name}: {compact(part)}" for name, part in value.items())
    elif isinstance(value, list):
        text = ", ".join(compact(part) for part in value) or "none"
    elif value is None or value == "":
        text = "empty"
    else:
        text = {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


@register.filter
def thousands(number: int) -> str:
    """Write a count with commas: `12,034`."""
    return f"{number:,}"


@register.filter
def catalogue_day(text: str | None) -> str:
    """Write a date of a catalogue (`2026-11-22`, or to the second) as pages write days."""
    return day(date.fromisoformat(text[:10])) if text else "not known"

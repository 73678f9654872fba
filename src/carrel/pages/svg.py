"""SVG as text: elements whose attributes and contents are escaped, and numbers that are finite."""

import math

from django.utils.html import conditional_escape, escape
from django.utils.safestring import SafeString

Attribute = str | float | None


def element(name: str, *children: str, **attributes: Attribute) -> SafeString:
    """Write one element. `text_anchor` is text-anchor, `class_` is class; one that is None is left out.

    Children are escaped unless they are elements. Raises ValueError for a number that is not finite.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value if isinstance(value, str) else number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    content = "".join(conditional_escape(child) for child in children)
    return SafeString(f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>")


def number(value: float) -> str:
    """Write a number with at most two decimals. Raises ValueError when it is not finite."""
    if not math.isfinite(value):
        raise ValueError(f"{value} has no place in a drawing")
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def percent(fraction: float) -> str:
    """Write a part of the whole; what lies beyond an end is at that end."""
    return f"{number(min(max(fraction, 0.0), 1.0) * 100)}%"


def labelled(label: str, description: str = "") -> SafeString:
    """Return what a drawing is called, and what it says in words."""
    return SafeString(element("title", label) + (element("desc", description) if description else ""))

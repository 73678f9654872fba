"""Templates keep the policy for content: no script, style or handler stands in one, nothing comes from elsewhere."""

import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "carrel"
TEMPLATES = sorted(SOURCE.rglob("templates/**/*.html"))
REFUSED = {
    "a style": re.compile(r"<style\b|\sstyle\s*=", re.IGNORECASE),
    "a script": re.compile(r"<script\b(?![^>]*\bsrc=)(?![^>]*type=\"application/json\")", re.IGNORECASE),
    "a handler": re.compile(r"\s(?:on[a-z]+|hx-on[\w:-]*)\s*=", re.IGNORECASE),
    "a script as an address": re.compile(r"javascript:", re.IGNORECASE),
    "a file of another site": re.compile(
        r"<(?:script|link|img|source|iframe)\b[^>]*(?:src|href)=\"(?:https?:)?//", re.IGNORECASE
    ),
}


def faults(text: str) -> list[str]:
    return [name for name, pattern in REFUSED.items() if pattern.search(text)]


def test_templates_keep_the_policy() -> None:
    assert TEMPLATES
    assert {str(path.relative_to(SOURCE)): names for path in TEMPLATES if (names := faults(path.read_text()))} == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('<p class="a" title="no style=">text</p>', ["a style"]),
        ('<p style="color: red">', ["a style"]),
        ("<script>x()</script>", ["a script"]),
        ('<script src="/static/x.js" defer></script>', []),
        ('<script id="data" type="application/json">{}</script>', []),
        ('<button onclick="x()">', ["a handler"]),
        ('<div hx-on:click="x()">', ["a handler"]),
        ('<a href="javascript:x()">', ["a script as an address"]),
        ('<img src="//cdn.example/x.png">', ["a file of another site"]),
        ('<a href="https://example.org/">a link</a>', []),
    ],
)
def test_faults_are_noticed(text: str, expected: list[str]) -> None:
    assert faults(text) == expected

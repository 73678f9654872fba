"""A text as HTML, a page of lines at a time, each with its number. Pure."""

from dataclasses import dataclass
from html import escape

from django.utils.safestring import SafeString, mark_safe

from carrel.review.shown.characters import visible, without_colours

LINES_A_PAGE = 1000
LONGEST_LINE = 4000
"""Characters of a line that are shown; the file as plain text has them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPage:
    """One page of a text. `cut`: lines on it that are longer than what is shown of them."""

    html: SafeString
    total: int
    page: int
    pages: int
    cut: int
    is_damaged: bool


def page_of_text(
    data: bytes,
    *,
    page: int = 1,
    line: int = 0,
    flagged: frozenset[int] = frozenset(),
    commented: frozenset[int] = frozenset(),
    is_log: bool = False,
) -> TextPage:
    """Return a page of a file's lines; with a line, the page on which it stands. Bytes that are no UTF-8 show as �."""
    text = data.decode("utf-8-sig", errors="replace")
    lines = (without_colours(text) if is_log else text).split("\n")
    if len(lines) > 1 and not lines[-1]:
        lines.pop()
    pages = max(1, -(-len(lines) // LINES_A_PAGE))
    number = (line - 1) // LINES_A_PAGE + 1 if 0 < line <= len(lines) else min(max(page, 1), pages)
    first = (number - 1) * LINES_A_PAGE
    shown = lines[first : first + LINES_A_PAGE]
    html = []
    for position, content in enumerate(shown, start=first + 1):
        classes = " ".join(
            name
            for name, is_so in (
                ("chosen", position == line),
                ("flagged", position in flagged),
                ("commented", position in commented),
            )
            if is_so
        )
        whole = visible(content.removesuffix("\r")[:LONGEST_LINE]) + ("…" if len(content) > LONGEST_LINE else "")
        named = f' class="{classes}"' if classes else ""
        html.append(
            f'<tr{named}><th scope="row" class="line"><a href="?line={position}#comment" aria-label="Line {position}">'
            f"{position}</a></th><td>{escape(whole)}</td></tr>"
        )
    return TextPage(
        html=mark_safe("".join(html)),  # noqa: S308 (escaped above)
        total=len(lines),
        page=number,
        pages=pages,
        cut=sum(len(content) > LONGEST_LINE for content in shown),
        is_damaged="�" in text,
    )

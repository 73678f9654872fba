"""Two versions of a file as HTML: tables cell by cell, texts by lines with the words that changed. Pure."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby, pairwise

from django.utils.safestring import SafeString, mark_safe

from carrel.disclosure.comparison import AlignedRow, CellChange, DiffKind, LineChange, compare_tables, compare_texts
from carrel.disclosure.policy import DisclosurePolicy
from carrel.disclosure.tables import Table
from carrel.review.shown.characters import visible
from carrel.review.shown.summaries import summaries_of
from carrel.review.shown.tables import CELLS_A_PAGE, LONGEST_CELL, ROWS_A_PAGE
from carrel.review.shown.texts import LINES_A_PAGE, LONGEST_LINE

LINES_AROUND = 3
"""Lines without a change that are shown before and after one with."""
MOST_PAIRED = 200
"""Changed lines in a row whose words are compared; in longer runs whole lines are marked."""
_WORD = re.compile(r"\w+|\s+|.", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedHead:
    """A column of either version. `kind`: ADDED, REMOVED, or SAME for one that both have."""

    name: str
    is_numeric: bool
    kind: DiffKind


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedTablePage:
    """A page of the rows of two tables together, and what differs in all of them.

    `differences`: the small ones, of counts; `alarms`: in how many cells.
    """

    heads: tuple[ComparedHead, ...]
    html: SafeString
    changed: int
    added: int
    removed: int
    alarms: int
    differences: tuple[int, ...]
    matching: int
    total: int
    page: int
    pages: int


def compared_tables(
    old: Table,
    new: Table,
    policy: DisclosurePolicy,
    *,
    page: int = 1,
    only_changed: bool = False,
    query: str | None = None,
) -> ComparedTablePage:
    """Return a page of two versions of a table.

    `query`: what the addresses of lines keep of the page's own; None for no links.
    """
    comparison = compare_tables(old, new, policy)
    rows, columns = comparison.alignment.rows, comparison.alignment.columns
    changes = {(change.row, change.column): change for change in comparison.changes}
    summaries = summaries_of(new)
    heads = tuple(
        ComparedHead(
            name=visible(column.name),
            is_numeric=column.new is not None and summaries[column.new - 1].is_numeric,
            kind=DiffKind.ADDED if column.old is None else DiffKind.REMOVED if column.new is None else DiffKind.SAME,
        )
        for column in columns
    )
    changed_rows = {change.row for change in comparison.changes}
    numbers = [
        number
        for number, row in enumerate(rows)
        if not only_changed or number in changed_rows or None in (row.old, row.new)
    ]
    height = max(20, min(ROWS_A_PAGE, CELLS_A_PAGE // max(1, len(columns))))
    pages = max(1, -(-len(numbers) // height))
    shown = min(max(page, 1), pages)
    html = []
    for number in numbers[(shown - 1) * height : shown * height]:
        old_cells, new_cells = _cells(old, rows[number].old), _cells(new, rows[number].new)
        texts = [
            _cell_at(new_cells, column.new) if rows[number].new is not None else _cell_at(old_cells, column.old)
            for column in columns
        ]
        html.append(_row(rows[number], number, texts, heads, changes, new, query))
    return ComparedTablePage(
        heads=heads,
        html=mark_safe("".join(html)),  # noqa: S308 (escaped below)
        changed=len(comparison.changes),
        added=len(comparison.rows_of(DiffKind.ADDED)),
        removed=len(comparison.rows_of(DiffKind.REMOVED)),
        alarms=len(comparison.alarms),
        differences=tuple(sorted({abs(change.difference or 0) for change in comparison.alarms})),
        matching=len(numbers),
        total=len(rows),
        page=shown,
        pages=pages,
    )


def _cells(table: Table, row: int | None) -> Sequence[str]:
    return () if row is None else table.rows[row].cells


def _cell_at(cells: Sequence[str], number: int | None) -> str:
    return cells[number - 1] if number is not None and number <= len(cells) else ""


def _row(
    row: AlignedRow,
    number: int,
    texts: Sequence[str],
    heads: Sequence[ComparedHead],
    changes: Mapping[tuple[int, int], CellChange],
    new: Table,
    query: str | None,
) -> str:
    kind = DiffKind.ADDED if row.old is None else DiffKind.REMOVED if row.new is None else DiffKind.SAME
    line = ""
    if row.new is not None:
        line_number = new.rows[row.new].line
        line = _line_link(line_number, query)
    html = [f'<tr class="{kind}"><th scope="row" class="line">{line}</th>']
    for column, (text, head) in enumerate(zip(texts, heads, strict=True)):
        change = changes.get((number, column))
        classes = ["number"] if head.is_numeric else []
        label = ""
        if change is None:
            content = _short(text)
            if kind is not DiffKind.SAME and content:
                element = "ins" if kind is DiffKind.ADDED else "del"
                content = f"<{element}>{content}</{element}>"
        else:
            classes.append("changed")
            before = f"<del>{_short(change.old)}</del>" if change.old else ""
            after = f"<ins>{_short(change.new)}</ins>" if change.new else ""
            content = " ".join(filter(None, (before, after)))
        if change is not None and change.is_small and change.difference is not None:
            classes.append("flagged")
            label = f' <span class="rule">small difference: {abs(change.difference)}</span>'
        named = f' class="{" ".join(classes)}"' if classes else ""
        html.append(f"<td{named}>{content}{label}</td>")
    return "".join([*html, "</tr>"])


def _line_link(line: int, query: str | None) -> str:
    if query is None:
        return str(line)
    return f'<a href="{escape(f"?{query}&line={line}#comment")}" aria-label="Line {line}">{line}</a>'


def _short(text: str) -> str:
    """Return a cell's text as a page shows it, cut where it is too long."""
    return escape(visible(text[:LONGEST_CELL])) + ("…" if len(text) > LONGEST_CELL else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedTextPage:
    """A page of the lines round what differs in two texts; `added` and `removed` count lines of all of them."""

    html: SafeString
    added: int
    removed: int
    page: int
    pages: int


def compared_texts(old: str, new: str, *, page: int = 1, query: str | None = None) -> ComparedTextPage:
    """Return a page of what differs in two texts. Raises NotChecked for texts that are too long to be compared."""
    lines = list(compare_texts(old, new))
    near: set[int] = set()
    for index, line in enumerate(lines):
        if line.kind is not DiffKind.SAME:
            near.update(range(max(0, index - LINES_AROUND), min(len(lines), index + LINES_AROUND + 1)))
    numbers = sorted(near)
    pages = max(1, -(-len(numbers) // LINES_A_PAGE))
    shown = min(max(page, 1), pages)
    chosen = numbers[(shown - 1) * LINES_A_PAGE : shown * LINES_A_PAGE]
    words = dict(_changed_words([(number, lines[number]) for number in chosen]))
    html = []
    for position, number in enumerate(chosen):
        line = lines[number]
        if position and chosen[position - 1] != number - 1:
            html.append('<tr class="gap"><th class="line"></th><th class="line"></th><td></td><td>…</td></tr>')
        link = _line_link(line.new, query) if line.new else ""
        text = escape(visible(line.text[:LONGEST_LINE])) + ("…" if len(line.text) > LONGEST_LINE else "")
        sign = {DiffKind.ADDED: "+", DiffKind.REMOVED: "−"}.get(line.kind, "")
        html.append(
            f'<tr class="{line.kind}"><th scope="row" class="line">{link}</th><th class="line">{line.old or ""}</th>'
            f"<td>{sign}</td><td>{words.get(number, text)}</td></tr>"
        )
    return ComparedTextPage(
        html=mark_safe("".join(html)),  # noqa: S308 (escaped above and below)
        added=sum(line.kind is DiffKind.ADDED for line in lines),
        removed=sum(line.kind is DiffKind.REMOVED for line in lines),
        page=shown,
        pages=pages,
    )


def _changed_words(lines: Sequence[tuple[int, LineChange]]) -> Iterator[tuple[int, str]]:
    """Lines that were removed and added in one place, by their numbers, with the words that differ marked."""
    runs = [(kind, list(run)) for kind, run in groupby(lines, key=lambda numbered: numbered[1].kind)]
    for (kind, removed), (next_kind, added) in pairwise(runs):
        if (kind, next_kind) != (DiffKind.REMOVED, DiffKind.ADDED) or len(removed) > MOST_PAIRED:
            continue
        for (old_number, old), (new_number, new) in zip(removed, added, strict=False):
            if max(len(old.text), len(new.text)) > LONGEST_LINE:
                continue
            one, other = _WORD.findall(old.text), _WORD.findall(new.text)
            blocks = difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes()
            yield old_number, "".join(_marked("del", tag, one[i:j]) for tag, i, j, _, _ in blocks)
            yield new_number, "".join(_marked("ins", tag, other[k:m]) for tag, _, _, k, m in blocks)


def _marked(element: str, tag: str, words: Sequence[str]) -> str:
    text = escape(visible("".join(words)))
    return text if tag == "equal" or not text else f"<{element}>{text}</{element}>"

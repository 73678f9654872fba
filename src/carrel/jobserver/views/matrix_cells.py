"""Cells of a matrix of actions and backends as HTML: there are thousands on one page, so no template draws them.

Every value is escaped where it is put in.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.utils.html import escape
from django.utils.safestring import SafeString

from carrel.jobserver.runs.matrix import MatrixCell, MatrixRow
from carrel.jobserver.runs.states import ActionState
from carrel.pages.status_words import Family, status_words
from carrel.pages.templatetags.pages import ago, chip

WAITING = "Waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRow:
    """One row of the run page: `sub` stands below the action's name, `ticked` are the slugs of backends."""

    row: MatrixRow
    sub: str
    ticked: frozenset[str] = frozenset()
    is_folded: bool = False


def tick_rows(rows: Iterable[ShownRow], now: datetime) -> SafeString:
    """Return rows whose cells have a box, or a word for why there is none."""
    return SafeString("".join(_tick_row(shown, now) for shown in rows))


def _tick_row(shown: ShownRow, now: datetime) -> str:
    action = escape(shown.row.action)
    fold = ' class="fold"' if shown.is_folded else ""
    sub = f'<span class="sub">{escape(shown.sub)}</span>' if shown.sub else ""
    cells = "".join(
        f'<td data-column="{cell.backend}">{_tick_cell(cell, action, now, is_ticked=cell.backend in shown.ticked)}</td>'
        for cell in shown.row.cells
    )
    return f'<tr{fold}><th scope="row">{action}{sub}</th>{cells}</tr>'


def _tick_cell(cell: MatrixCell, action: str, now: datetime, *, is_ticked: bool) -> str:
    standing = standing_html(cell, now)
    if cell.refusal is not None:
        word = f'<span class="refused" title="{escape(cell.refusal.reason)}">{escape(cell.refusal.short)}</span>'
        return f'<span class="cell">{word}{standing if cell.state else ""}</span>'
    box = (
        f'<input type="checkbox" name="tick" value="{cell.backend}:{action}" aria-label="{action} on {cell.backend}" '
        f'data-is="{cell.traits}"{" checked" if is_ticked else ""}>'
    )
    return f'<label class="cell">{box}{standing}</label>'


def state_rows(rows: Iterable[MatrixRow], now: datetime, workspace_url: str) -> SafeString:
    """Return rows that only tell how each action stands; chips lead to the jobs."""
    return SafeString("".join(_state_row(row, now, workspace_url) for row in rows))


def _state_row(row: MatrixRow, now: datetime, workspace_url: str) -> str:
    cells = []
    for cell in row.cells:
        url = f"{workspace_url}{cell.state.run_id}/{cell.state.identifier}/" if cell.state else ""
        standing = standing_html(cell, now, url)
        if cell.refusal is not None:
            word = f'<span class="refused" title="{escape(cell.refusal.reason)}">{escape(cell.refusal.short)}</span>'
            standing = f"{word}{standing if cell.state else ''}"
        cells.append(f'<td><span class="cell">{standing}</span></td>')
    needs = f'<span class="sub">needs {escape(", ".join(row.needs))}</span>' if row.needs else ""
    return f'<tr><th scope="row">{escape(row.action)}{needs}</th>{"".join(cells)}</tr>'


def standing_html(cell: MatrixCell, now: datetime, url: str = "") -> str:
    """Return how the latest job stands: a chip (that leads to `url`), and since when, why it waits, or what changed."""
    state = cell.state
    if state is None:
        return "never ran"
    words = status_words(state.status_code or state.status)
    waits_for = words.word.removeprefix(WAITING).lstrip(": ") if words.family is Family.WAITING else ""
    shown = chip(words.code, WAITING if waits_for else "", state.status_message)
    if url:
        shown = SafeString(f'<a href="{escape(url)}">{shown}</a>')
    if cell.note:
        return f'{shown}<span class="warn" title="{escape(cell.note_title)}">{escape(cell.note)}</span>'
    return f"{shown}{escape(waits_for) or ago(moment_of(state), short=True, now=now)}"


def moment_of(state: ActionState) -> datetime:
    """Return when the job came into the state that it is in, as near as that is known."""
    return state.completed_at or state.started_at or state.created_at

"""Tables for the terminal: a plan with its reasons, the status of each action. Values in, rows and lines out."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from carrel.jobs.plan import Plan, Reuse, Run
from carrel.local.status import ActionStatus


def plan_rows(planned: Plan) -> list[dict[str, object]]:
    """One object per action reached: `action`, `does` (run, reuse or wait) and `why`."""
    today = datetime.now(UTC).date()
    verbs = {Run: "run", Reuse: "reuse"}
    return [
        {"action": entry.action, "does": verbs.get(type(entry), "wait"), "why": entry.words(today)}
        for entry in planned.entries
    ]


def plan_lines(planned: Plan) -> Iterator[str]:
    """`action  will run: last run failed`, and what it waits for."""
    today = datetime.now(UTC).date()
    rows = []
    for entry in planned.entries:
        waits = entry.wait_for_new if isinstance(entry, Run) else ()
        rows.append((entry.action, entry.words(today) + (f"; waits for {', '.join(waits)}" if waits else "")))
    yield from columns(rows)
    if planned.nothing_to_do:
        yield str(planned.nothing_to_do)


def columns(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Rows as left-aligned columns, two spaces apart."""
    listed = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    for row in listed:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def status_rows(statuses: Iterable[ActionStatus]) -> list[list[str]]:
    """Rows with a heading: action, state, when, commit, what is out of date."""
    rows = [["ACTION", "STATE", "FINISHED", "COMMIT", "UP TO DATE"]]
    return rows + [_status_row(status) for status in statuses]


def _status_row(status: ActionStatus) -> list[str]:
    record = status.record
    if record is None:
        return [status.action, "running" if status.running else "never ran", "", "", ""]
    commit = f"{record.commit[:7]}{' + changes' if record.dirty else ''}"
    finished = datetime.fromisoformat(record.completed_at).astimezone()
    state = "running" if status.running else record.status_code.replace("_", " ")
    fresh = f"no: {', '.join(status.stale)}" if status.stale else "yes"
    return [status.action, state, f"{finished:%Y-%m-%d %H:%M}", commit, fresh]

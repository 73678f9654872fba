"""Watching requests: a live table (actions down, backends across), or a line per change where there is no terminal."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live
from rich.table import Table

from carrel.clients.rap import RapUnavailable

PATIENCE_SECONDS = 60.0
FINAL = frozenset({"succeeded", "failed"})
_STYLE = {"succeeded": "green", "failed": "bold red", "running": "cyan", "pending": "dim"}
_MARK = {"succeeded": "✓", "failed": "✗", "running": "▸", "pending": "·"}

Job = Mapping[str, object]
"""One job as `rap/status` gives it."""


@dataclass(slots=True)
class Board:
    """What is known of the requests: rap_id -> backend, and the latest state of each (backend, action)."""

    raps: Mapping[str, str]
    order: Sequence[str] = ()
    cells: dict[tuple[str, str], Job] = field(default_factory=dict)

    def take(self, jobs: Sequence[Job]) -> list[Job]:
        """Note the jobs; return those whose status or message changed."""
        changed = []
        for job in jobs:
            key = (str(job["backend"]), str(job["action"]))
            before = self.cells.get(key, {})
            if any(before.get(field) != job[field] for field in ("status_code", "status_message")):
                changed.append(job)
            self.cells[key] = job
        return changed

    @property
    def backends(self) -> list[str]:
        return list(dict.fromkeys(self.raps.values()))

    @property
    def actions(self) -> list[str]:
        seen = dict.fromkeys(action for _, action in self.cells)
        return [action for action in self.order if action in seen] + [a for a in seen if a not in self.order]

    @property
    def finished(self) -> bool:
        """Every backend has told of jobs, and all of them have ended."""
        heard = {backend for backend, _ in self.cells}
        return heard.issuperset(self.raps.values()) and all(job["status"] in FINAL for job in self.cells.values())

    @property
    def failures(self) -> list[Job]:
        return [job for job in self.cells.values() if job["status"] == "failed"]


def table(board: Board, now: datetime) -> Table:
    shown = Table(title=None, expand=False, pad_edge=False)
    shown.add_column("action")
    for backend in board.backends:
        shown.add_column(backend, min_width=24)
    for action in board.actions:
        shown.add_row(action, *[_cell(board.cells.get((backend, action)), now) for backend in board.backends])
    return shown


def _cell(job: Job | None, now: datetime) -> str:
    if job is None:
        return "[dim]—[/dim]"
    status = str(job["status"])
    words = str(job["status_code"]).replace("_", " ")
    took = _elapsed(job, now)
    return f"[{_STYLE[status]}]{_MARK[status]} {words}[/]{took}"


def _elapsed(job: Job, now: datetime) -> str:
    started = _when(job.get("started_at"))
    if started is None:
        return ""
    seconds = ((_when(job.get("completed_at")) or now) - started).total_seconds()
    return f" [dim]{max(0, seconds):.0f} s[/dim]"


def _when(text: object) -> datetime | None:
    return datetime.fromisoformat(str(text)) if text else None


def follow(
    board: Board,
    ask: Callable[[], Sequence[Job]],
    console: Console,
    every: float = 0.25,
    stop: Callable[[], bool] = lambda: False,
) -> Board:
    """Ask for statuses until every job is final (or `stop()`), showing what changes; returns the board."""
    show = _LiveTable if console.is_terminal else _ChangeLines
    with show(board, console) as update:
        silent_since = None
        while not stop():
            try:
                update(board.take(ask()))
                silent_since = None
            except RapUnavailable:
                # A controller that was killed is started again; only one that stays away is worth giving up for.
                silent_since = silent_since or time.monotonic()
                if time.monotonic() - silent_since > PATIENCE_SECONDS:
                    raise
            if board.finished:
                break
            time.sleep(every)
    return board


class _LiveTable:
    def __init__(self, board: Board, console: Console):
        self.board = board
        self.live = Live(console=console, refresh_per_second=8)

    def __enter__(self) -> Callable[[Sequence[Job]], None]:
        self.live.__enter__()
        return lambda _changed: self.live.update(table(self.board, datetime.now(UTC)))

    def __exit__(self, *exc: object) -> None:
        self.live.__exit__(None, None, None)


class _ChangeLines:
    def __init__(self, board: Board, console: Console):
        self.console = console

    def __enter__(self) -> Callable[[Sequence[Job]], None]:
        return self.print

    def print(self, changed: Sequence[Job]) -> None:
        for job in changed:
            self.console.print(
                f"{job['backend']}  {job['action']}: {job['status_message']}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )

    def __exit__(self, *exc: object) -> None:
        return None

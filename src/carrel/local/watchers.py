"""Ways to show a run: lines as the contract prints them, JSON lines for programs, a live table on a terminal."""

import json
import os
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carrel.local.events import ActionResult, Progress, RunResult, RunStart
from carrel.local.report import last_lines

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

FINAL = frozenset({"succeeded", "nonzero_exit", "unmatched_patterns", "dependency_failed", "internal_error"}) | {
    "cancelled_by_user",
    "timed_out",
    "job_error",
}


def say(line: str) -> None:
    """Print a line at once. Whoever read our output may have left (`| head`): the run goes on, unheard."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class Lines:
    """One line per change: `action: message`."""

    def __init__(self, timestamps: bool = False) -> None:
        self.timestamps = timestamps

    def start(self, run: RunStart) -> None:
        self._print(f"Running actions: {', '.join(run.actions)}")

    def report(self, progress: Progress) -> None:
        self._print(f"{progress.action}: {progress.message.strip()}", progress.at)

    def report_usage(self, action: str, memory_peak: int | None) -> None:
        pass

    def end(self, result: RunResult) -> None:
        pass

    def close(self) -> None:
        pass

    def _print(self, line: str, at: datetime | None = None) -> None:
        stamp = f"{(at or datetime.now().astimezone()).astimezone():%Y-%m-%d %H:%M:%S} " if self.timestamps else ""
        say(stamp + line)


class JsonLines:
    """One JSON object per line; `type` is `run`, `change`, `result` or `end`."""

    def start(self, run: RunStart) -> None:
        self._print("run", request_id=run.request_id, backend=run.backend, actions=list(run.actions))

    def report(self, progress: Progress) -> None:
        if not progress.detail:
            at = progress.at.isoformat()
            self._print(
                "change", action=progress.action, status_code=progress.code, message=progress.message.strip(), at=at
            )

    def report_usage(self, action: str, memory_peak: int | None) -> None:
        pass

    def end(self, result: RunResult) -> None:
        for action_result in result.results:
            self._print("result", **result_fields(action_result))
        code = 0 if result.succeeded else 1
        self._print("end", exit_code=code, left_out=list(result.left_out), nothing_to_do=result.nothing_to_do)

    def close(self) -> None:
        pass

    def _print(self, kind: str, **fields: Any) -> None:
        say(json.dumps({"type": kind, **fields}))


def result_fields(result: ActionResult) -> dict[str, Any]:
    record = result.record
    fields: dict[str, Any] = {"action": result.action, "succeeded": result.succeeded, "message": result.message.strip()}
    if record is None:
        return fields
    names = ("status_code", "exit_code", "outputs", "excluded", "memory_peak", "started_at", "completed_at")
    return {**fields, "log": result.log, "hint": record.hint.strip(), **{name: getattr(record, name) for name in names}}


@dataclass(slots=True)
class ActionRow:
    """One action in the table. Times are of the monotonic clock, in seconds."""

    code: str = "waiting"
    note: str = ""
    started: float | None = None
    ended: float | None = None
    memory_peak: int | None = None

    def elapsed(self, now: float) -> str:
        if self.started is None:
            return ""
        seconds = int((self.ended or now) - self.started)
        return f"{seconds // 60}:{seconds % 60:02}"


@dataclass(slots=True)
class LiveTable:
    """A table on the terminal: action, state, elapsed, memory peak, what it waits for or how it failed."""

    folder: Path
    rows: dict[str, ActionRow] = field(default_factory=dict)
    needs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    live: "Live | None" = None

    def start(self, run: RunStart) -> None:
        from rich.live import Live

        self.rows = {action: ActionRow() for action in run.actions}
        self.needs = run.needs
        self.live = Live(get_renderable=self.table, refresh_per_second=4)
        self.live.start()

    def report(self, progress: Progress) -> None:
        row = self.rows[progress.action]
        row.code = progress.code
        if row.started is None and progress.code not in FINAL:
            row.started = time.monotonic()
        if progress.code in FINAL and not progress.detail:
            row.ended = row.ended or time.monotonic()
            row.note = self._last_words(progress)

    def _last_words(self, progress: Progress) -> str:
        if progress.code == "succeeded":
            return ""
        log = self.folder / "metadata" / f"{progress.action}.log"
        if progress.code != "nonzero_exit" or not log.exists():
            return progress.message.strip().splitlines()[0]
        return "".join(last_lines(log, 1)[-1:])

    def report_usage(self, action: str, memory_peak: int | None) -> None:
        self.rows[action].memory_peak = memory_peak

    def end(self, result: RunResult) -> None:
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was, with the table's last state on it."""
        if self.live is not None:
            self.live.stop()
            self.live = None

    def table(self) -> "Table":
        from rich.table import Table
        from rich.text import Text

        table = Table("action", "state", "elapsed", "memory", "waits for", box=None)
        now = time.monotonic()
        for action, row in list(self.rows.items()):
            awaited = self.needs.get(action, ()) if row.code == "waiting" else ()
            note = row.note or ", ".join(need for need in awaited if self.rows[need].code != "succeeded")
            style = "green" if row.code == "succeeded" else "red" if row.code in FINAL else ""
            cells = (action, row.code.replace("_", " "), row.elapsed(now), size(row.memory_peak), note)
            table.add_row(*(Text(cell) for cell in cells), style=style)
        return table


def size(count: int | None) -> str:
    """Bytes as people read them: `312M`."""
    if count is None:
        return ""
    amount = float(count)
    for unit in ("B", "K", "M"):
        if amount < 1024:
            return f"{amount:.0f}{unit}"
        amount /= 1024
    return f"{amount:.1f}G"

"""What will happen if this is run: on each backend what runs and why, what is reused, what is waited for. Pure.

It asks `carrel.jobs.plan`, as the controllers will, with each backend's own pipeline and jobs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from carrel.jobs.checks import check_codelists
from carrel.jobs.models import LatestJob
from carrel.jobs.plan import Entry, Plan, PlanError, Reuse, Run, WaitFor, plan
from carrel.jobserver.runs.matrix import BackendColumn
from carrel.jobserver.runs.states import Cell

ENTRIES_SHOWN = 40
"""Of one backend; a page folds the rest away."""
INPUT_CHANGES = "though its input will change"


@dataclass(frozen=True, slots=True)
class PlannedEntry:
    """One action in the preview: `kind` is `runs`, `reused` or `waits`."""

    action: str
    kind: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendPreview:
    """What will happen on one backend; nothing where nothing is ticked there. `problem`: why it cannot be run so."""

    slug: str
    name: str
    entries: tuple[PlannedEntry, ...] = ()
    problem: str = ""
    starts_later: str = ""
    seconds: float | None = None
    """How long it takes by earlier runs; None where nothing runs, or none of it ever succeeded."""

    @property
    def counts(self) -> dict[str, int]:
        """How many entries there are of each kind."""
        kinds = [entry.kind for entry in self.entries]
        return {kind: kinds.count(kind) for kind in ("runs", "reused", "waits")}

    @property
    def first(self) -> tuple[PlannedEntry, ...]:
        return self.entries[:ENTRIES_SHOWN]

    @property
    def more(self) -> int:
        """Entries that a page folds away."""
        return max(0, len(self.entries) - ENTRIES_SHOWN)

    @property
    def folded(self) -> list[tuple[str, str, list[str]]]:
        """Return these as kind, words and the actions of which they are said: mostly the same of hundreds."""
        actions: dict[tuple[str, str], list[str]] = {}
        for entry in self.entries[ENTRIES_SHOWN:]:
            actions.setdefault((entry.kind, entry.words), []).append(entry.action)
        return [(kind, words, names) for (kind, words), names in actions.items()]

    @property
    def standing(self) -> str:
        """Say it in a few words: "2 run, 1 reused"."""
        if self.problem:
            return "cannot run"
        if not self.entries:
            return "nothing ticked"
        verbs = {"runs": "run", "reused": "reused", "waits": "already under way"}
        words = ", ".join(f"{count} {verbs[kind]}" for kind, count in self.counts.items() if count)
        return f"{words}, starting when {self.starts_later}" if self.starts_later and self.counts["runs"] else words


@dataclass(frozen=True, slots=True)
class Preview:
    """What will happen on all backends, in their order."""

    backends: tuple[BackendPreview, ...]

    @property
    def job_count(self) -> int:
        return sum(backend.counts["runs"] for backend in self.backends)

    @property
    def backend_count(self) -> int:
        """Backends on which something runs."""
        return sum(bool(backend.counts["runs"]) for backend in self.backends)

    @property
    def has_problem(self) -> bool:
        return any(backend.problem for backend in self.backends)

    @property
    def seconds(self) -> float | None:
        """How long all of it takes: backends run side by side."""
        return max((backend.seconds for backend in self.backends if backend.seconds is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is ticked on one backend: actions, and whether what they need runs again though it succeeded."""

    actions: tuple[str, ...]
    force: bool = False


def plans_of(
    columns: Sequence[BackendColumn], wishes: Mapping[str, Wish], latest: Mapping[str, Mapping[str, LatestJob]]
) -> dict[str, Plan | PlanError]:
    """Return by backend the plan of what is ticked there, or why there is none; backends without ticks are absent."""
    plans: dict[str, Plan | PlanError] = {}
    for column in columns:
        wish = wishes.get(column.slug)
        if wish is None or not wish.actions or column.pipeline is None:
            continue
        try:
            plans[column.slug] = plan(wish.actions, column.pipeline, latest.get(column.slug, {}), wish.force)
        except PlanError as error:
            plans[column.slug] = error
    return plans


def preview(
    columns: Sequence[BackendColumn],
    plans: Mapping[str, Plan | PlanError],
    *,
    today: date,
    seconds: Mapping[Cell, float] | None = None,
    commits_ago: Callable[[str], int | None] = lambda commit: None,
    codelists_ok: bool = True,
) -> Preview:
    """Put the plans into words. `seconds`: how long actions took on each backend; `commits_ago`: of a commit."""
    return Preview(
        tuple(
            _of_backend(column, plans.get(column.slug), today, seconds or {}, commits_ago, codelists_ok)
            for column in columns
        )
    )


def _of_backend(
    column: BackendColumn,
    planned: Plan | PlanError | None,
    today: date,
    seconds: Mapping[Cell, float],
    commits_ago: Callable[[str], int | None],
    codelists_ok: bool,
) -> BackendPreview:
    if planned is None:
        return BackendPreview(slug=column.slug, name=column.name)
    try:
        if isinstance(planned, PlanError):
            raise planned
        check_codelists(planned, codelists_ok)
    except PlanError as error:
        return BackendPreview(slug=column.slug, name=column.name, problem=f"{error}.")
    assert column.pipeline is not None
    changing = dependents_of({run.action for run in planned.runs}, column)
    return BackendPreview(
        slug=column.slug,
        name=column.name,
        entries=tuple(_entry(entry, entry.action in changing, today, commits_ago) for entry in planned.entries),
        starts_later=column.starts_later,
        seconds=longest_path(
            planned, {action: took for (slug, action), took in seconds.items() if slug == column.slug}
        ),
    )


def _entry(entry: Entry, is_changing: bool, today: date, commits_ago: Callable[[str], int | None]) -> PlannedEntry:
    match entry:
        case Run():
            return PlannedEntry(entry.action, "runs", entry.words(today))
        case Reuse():
            words = entry.words(today, commits_ago(entry.job.commit) if entry.job.commit else None)
            return PlannedEntry(entry.action, "reused", f"{words}, {INPUT_CHANGES}" if is_changing else words)
        case WaitFor():
            return PlannedEntry(entry.action, "waits", entry.words(today))


def dependents_of(roots: set[str], column: BackendColumn) -> set[str]:
    """Return the actions on this backend that need one of the roots, directly or not."""
    dependents: dict[str, list[str]] = {}
    for name, action in column.pipeline.actions.items() if column.pipeline else ():
        for need in action.needs:
            dependents.setdefault(need, []).append(name)
    reached: set[str] = set()
    pending = [name for root in roots for name in dependents.get(root, ())]
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            pending += dependents.get(name, ())
    return reached


def longest_path(planned: Plan, took: Mapping[str, float]) -> float | None:
    """Return how long the new jobs take if each starts when what it waits for has ended, and takes what it took.

    An action that never succeeded counts for nothing; None where that is so of all of them.
    """
    ends: dict[str, float] = {}
    for run in planned.runs:
        start = max((ends[need] for need in run.wait_for_new), default=0.0)
        ends[run.action] = start + took.get(run.action, 0.0)
    return max(ends.values()) if any(run.action in took for run in planned.runs) else None

"""The run page: tick actions on backends, see what will happen, and ask for it. Everything works without JavaScript."""

import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from carrel.jobs.statuses import State
from carrel.jobserver import backend_standing, studies
from carrel.jobserver.accounts import has_second_factor
from carrel.jobserver.models import Backend, Job, Project, Workspace
from carrel.jobserver.models.projects import NotifyWhen
from carrel.jobserver.rights.access import CarrelRequest, Page, forbidden, permitted
from carrel.jobserver.rights.permissions import Permission
from carrel.jobserver.rights.running import RunRefusal
from carrel.jobserver.run_options import RunChoices, run_options
from carrel.jobserver.runs.matrix import MatrixRow, refusal_of_cell
from carrel.jobserver.service.notifications import mail_is_configured
from carrel.jobserver.service.submissions import Submission, SubmissionError, submit
from carrel.jobserver.studies import StudyFault, StudyUnavailable
from carrel.jobserver.views.matrix_cells import ShownRow, tick_rows
from carrel.jobserver.views.posting import SeeOther
from carrel.jobserver.views.run_choice import TICK_WORDS, Choice, choice_of
from carrel.pages.formats import plain_duration
from carrel.pages.frame import BackendState, PageLink
from carrel.pages.lists import PAGE_SIZE, BoundedPaginator, page_numbers
from carrel.project import Problem, ProjectValidationError

COMMIT = re.compile(r"[0-9a-f]{7,40}")
FULL_COMMIT = 40
COMMITS_LISTED = 50
ROWS_SHOWN = 14
"""Rows of a long matrix that show before one asks for more."""
PROBLEMS_SHOWN = 50
LINE_SHOWN = 110
"""Characters of a line of project.yaml that show beside what is wrong with it."""


# --- pages


def run_page(request: CarrelRequest, *, project: Project, workspace: Workspace, commit: str = "") -> HttpResponse:
    """Show what can be run at the head of the branch, or at `commit`; posted, ask for it."""
    # A role may hold on one backend alone.
    backends = {grant.backend_id for grant in request.rights.grants} | {None}
    refusals = [
        request.rights.why_not(Permission.JOB_RUN, project_id=project.pk, backend_id=backend) for backend in backends
    ]
    if refusal := min(refusals):
        return forbidden(request, refusal, Permission.JOB_RUN)
    if request.method == "POST":
        return submit_run(request, workspace)
    head = studies.BranchHead()
    # A link may name the commit in its query: nobody is to run other code than it says.
    commit = commit or request.GET.get("commit", "").strip()
    try:
        if commit:
            commit = full_commit(workspace, commit)
            studies.check_on_branch(workspace, commit)
        else:
            head = studies.branch_head(workspace)
            commit = head.commit
        if not commit:
            raise StudyUnavailable(head.problem)
        return choice_page(request, workspace, commit, choice_of(request.GET), warning=head.problem)
    except (StudyFault, StudyUnavailable) as error:
        return unreadable_page(request, workspace, str(error))


def run_preview(request: CarrelRequest, *, project: Project, workspace: Workspace) -> HttpResponse:
    """Say what will happen with these ticks: to the live page a part of it, to a browser without scripts all of it."""
    commit, choice = request.POST.get("commit", ""), choice_of(request.POST)
    is_part = bool(request.headers.get("HX-Request"))
    try:
        checked_commit(workspace, commit)
        if not is_part:
            return choice_page(request, workspace, commit, choice)
        options = run_options(
            workspace, commit, person_of(request), request.rights, has_second_factor=has_second_factor(request)
        )
        context = {"preview": options.preview(choice.wishes(options)), "choice": choice, "options": options}
        return render(request, "jobserver/run_page/preview_parts.html", context)
    except (StudyFault, StudyUnavailable, ProjectValidationError) as error:
        if is_part:
            return render(request, "jobserver/run_page/preview_parts.html", {"problem": str(error)})
        return unreadable_page(request, workspace, str(error))


def submit_run(request: CarrelRequest, workspace: Workspace) -> HttpResponse:
    """Ask for what is ticked, at the commit that the page showed; the page again where that cannot be."""
    choice, commit = choice_of(request.POST), request.POST.get("commit", "")
    submission = Submission(
        workspace=workspace,
        person=person_of(request),
        commit=commit,
        actions={slug: tuple(sorted(actions)) for slug, actions in choice.ticks.items()},
        force=choice.force,
        notify=choice.notify,
        submission_key=choice.submission_key,
        has_second_factor=has_second_factor(request),
    )
    try:
        checked_commit(workspace, commit)
        return SeeOther(submit(submission, request).get_absolute_url())
    except SubmissionError as error:
        return choice_page(request, workspace, commit, choice, problems=list(error.problems.values()))
    except (StudyFault, StudyUnavailable) as error:
        return unreadable_page(request, workspace, str(error))


def commit_list(request: CarrelRequest, *, project: Project, workspace: Workspace) -> HttpResponse:
    """The latest commits of the branch, to choose one; or a commit that is typed."""
    typed = request.GET.get("commit", "").strip()
    problem = ""
    if typed:
        try:
            commit = full_commit(workspace, typed)
            studies.check_on_branch(workspace, commit)
            return SeeOther(reverse("run-at-commit", args=[project.slug, workspace.name, commit]))
        except (StudyFault, StudyUnavailable) as error:
            problem = str(error)
    head = studies.branch_head(workspace)
    try:
        commits = studies.history(workspace, head.commit, COMMITS_LISTED) if head.commit else ()
    except (StudyFault, StudyUnavailable) as error:
        commits, problem = (), problem or str(error)
    context = {
        "workspace": workspace,
        "crumbs": [*crumbs_of(workspace), PageLink("Run actions", run_url(workspace)), PageLink("Commits")],
        "commits": commits,
        "typed": typed,
        "problem": problem,
        "warning": head.problem,
    }
    return render(request, "jobserver/run_page/commits.html", context, status=422 if problem and typed else 200)


# --- what they show


def choice_page(
    request: CarrelRequest,
    workspace: Workspace,
    commit: str,
    choice: Choice,
    *,
    problems: list[str] | None = None,
    warning: str = "",
) -> HttpResponse:
    """The matrix and the preview of what is ticked; the problems of project.yaml where the matrix would be."""
    code = studies.study_at(workspace, commit)
    context: dict[str, Any] = {
        "workspace": workspace,
        "project": workspace.project,
        "crumbs": [*crumbs_of(workspace), PageLink("Run actions")],
        "code": code,
        "problems": problems,
        "warning": warning,
    }
    status = 422 if problems else 200
    try:
        options = run_options(
            workspace, commit, person_of(request), request.rights, has_second_factor=has_second_factor(request)
        )
    except ProjectValidationError as error:
        context |= {
            "faults": list(faults_of(error, code))[:PROBLEMS_SHOWN],
            "fault_count": len(error.problems),
            "fault_text": "" if error.problems else str(error),
        }
        return render(request, "jobserver/run_page/faults.html", context, status=status)
    all_actions = options.pipeline.all_actions
    names = [name for name in all_actions if choice.search.casefold() in name.casefold()]
    if choice.pressed:
        choice = choice.after_press(options.rows(names))
    page = BoundedPaginator(names, PAGE_SIZE).get_page(choice.page)
    is_paged = len(all_actions) > PAGE_SIZE
    shown = list(shown_rows(options.rows(page.object_list), choice))
    context |= {
        "options": options,
        "supported": [column.name for column in options.columns if column.pipeline is not None],
        "heads": heads_of(options),
        "rows": all_actions,
        "page": page,
        "page_numbers": page_numbers(page),
        "is_paged": is_paged,
        "hidden_ticks": choice.hidden_ticks(page.object_list),
        "body": tick_rows(shown, timezone.now()),
        "tick_words": TICK_WORDS,
        "hidden_count": sum(row.is_folded for row in shown),
        "is_long": not is_paged and len(all_actions) > ROWS_SHOWN,
        "choice": choice,
        "preview": options.preview(choice.wishes(options)),
        "notify": choice.notify or workspace.notify,
        "mail_is_configured": mail_is_configured(),
        "notify_choices": NotifyWhen.choices,
        "submission_key": choice.submission_key or secrets.token_urlsafe(24),
    }
    return render(request, "jobserver/run_page/page.html", context, status=status)


def unreadable_page(request: HttpRequest, workspace: Workspace, problem: str) -> HttpResponse:
    """The repository or the commit cannot be read: why, and how to try again."""
    context = {
        "workspace": workspace,
        "crumbs": [*crumbs_of(workspace), PageLink("Run actions")],
        "problem": problem,
    }
    return render(request, "jobserver/run_page/unreadable.html", context, status=422)


@dataclass(frozen=True, slots=True)
class ColumnHead:
    """What stands above a backend's column: its name, how it is, why nothing can be ticked."""

    slug: str
    name: str
    standing: str
    since: datetime | None
    refusal: RunRefusal | None
    can_tick: bool


def heads_of(options: RunChoices) -> list[ColumnHead]:
    """Return the heads of the columns, with what runs and waits on each backend now, in one question."""
    active = Job.objects.filter(backend__in=options.backends, status__in=[State.PENDING.value, State.RUNNING.value])
    counted = active.order_by().values_list("backend_id", "status").annotate(count=Count("pk"))
    counts = {(backend, status): count for backend, status, count in counted}
    heads = []
    for backend, column in zip(options.backends, options.columns, strict=True):
        running, waiting = (counts.get((backend.pk, state.value), 0) for state in (State.RUNNING, State.PENDING))
        words, since = standing_of(backend, running, waiting)
        can_tick = any(
            refusal_of_cell(column, action, options.checks.get((column.slug, action))) is None
            for action in options.pipeline.all_actions
        )
        heads.append(ColumnHead(backend.slug, backend.name, words, since, column.refusal, can_tick))
    return heads


def standing_of(backend: Backend, running: int, waiting: int) -> tuple[str, datetime | None]:
    """Say how a backend is, and since when where that matters: "up · 2 running, 1 waiting"; "paused since"."""
    match backend_standing.standing_of(backend, timezone.now()).state:
        case BackendState.PAUSED:
            return "paused since", backend.paused_since
        case BackendState.MAINTENANCE:
            return "maintenance since", backend.maintenance_since
        case BackendState.MISSING:
            return "not heard of since", backend.last_seen_at
        case None:
            return "not heard of yet", None
    busy = [f"{count} {word}" for count, word in ((running, "running"), (waiting, "waiting")) if count]
    return f"up · {', '.join(busy) or 'idle'}", None


def shown_rows(rows: Iterable[MatrixRow], choice: Choice) -> Iterator[ShownRow]:
    """Yield each row with its second line, the boxes that are ticked, and whether it is folded at first."""
    for index, row in enumerate(rows):
        took = [
            (cell.state.completed_at - cell.state.started_at).total_seconds()
            for cell in row.cells
            if cell.state and cell.state.status == State.SUCCEEDED and cell.state.started_at and cell.state.completed_at
        ]
        about = plain_duration(median(took)) if took and "database" in row.traits else ""
        needs = f"needs {', '.join(row.needs)}" if row.needs else ""
        ticked = frozenset(slug for slug, actions in choice.ticks.items() if row.action in actions)
        yield ShownRow(
            row=row,
            sub=" · ".join(filter(None, (needs, *row.traits, about))),
            ticked=ticked,
            is_folded=index >= ROWS_SHOWN and not ticked,
        )


@dataclass(frozen=True, slots=True)
class FaultyLine:
    """One problem of a project file, with the line that it is in and a caret below its column."""

    problem: Problem
    line: str
    caret: str

    @property
    def gutter(self) -> str:
        """As wide as the number of the line."""
        return " " * len(str(self.problem.line))


def faults_of(error: ProjectValidationError, code: studies.StudyCode) -> Iterator[FaultyLine]:
    """Yield each problem with its line, cut where it is long, and a caret below its column."""
    project_lines = code.definition.decode(errors="replace").splitlines()
    side_lines = (code.side_file or b"").decode(errors="replace").splitlines()
    for problem in error.problems:
        lines = project_lines if problem.filename == "project.yaml" else side_lines
        line = lines[problem.line - 1].replace("\t", " ") if 0 < problem.line <= len(lines) else ""
        start = max(0, problem.column - LINE_SHOWN // 2) if len(line) > LINE_SHOWN else 0
        yield FaultyLine(
            problem, line[start : start + LINE_SHOWN], f"{' ' * (problem.column - 1 - start)}^" if line else ""
        )


# --- small matters


def person_of(request: CarrelRequest) -> Any:
    """Return who is signed in: the guard lets nobody else here."""
    assert request.person is not None
    return request.person


def checked_commit(workspace: Workspace, commit: str) -> None:
    """Raise StudyFault unless this is a whole commit on the workspace's branch; StudyUnavailable."""
    if len(commit) != FULL_COMMIT or not COMMIT.fullmatch(commit):
        raise StudyFault("The form names no commit: open the run page again.")
    studies.check_on_branch(workspace, commit)


def full_commit(workspace: Workspace, text: str) -> str:
    """Return the commit that the text begins, of those of the branch's latest; raises StudyFault, StudyUnavailable."""
    text = text.lower()
    if not COMMIT.fullmatch(text):
        raise StudyFault(f"'{text[:60]}' is no commit: write 7 to 40 of its hexadecimal digits.")
    if len(text) == FULL_COMMIT:
        return text
    head = studies.branch_head(workspace)
    if not head.commit:
        raise StudyUnavailable(head.problem)
    matching = [commit.sha for commit in studies.history(workspace, head.commit) if commit.sha.startswith(text)]
    if len(matching) != 1:
        raise StudyFault(f"None of the latest commits of {workspace.branch} begins with {text}: write all 40 digits.")
    return matching[0]


def crumbs_of(workspace: Workspace) -> list[PageLink]:
    return [
        PageLink(workspace.project.name, workspace.project.get_absolute_url()),
        PageLink(workspace.name, workspace.get_absolute_url()),
    ]


def run_url(workspace: Workspace) -> str:
    return reverse("run-actions", args=[workspace.project.slug, workspace.name])


RUNNER = permitted(Permission.JOB_RUN, anywhere=True)
_AT = "<slug:project>/<str:workspace>"
PROJECT_PAGES = [
    Page(f"{_AT}/run/", run_page, "run-actions", RUNNER),
    Page(f"{_AT}/run/preview/", run_preview, "run-preview", RUNNER),
    Page(f"{_AT}/run/commits/", commit_list, "run-commits", RUNNER),
    Page(f"{_AT}/run-jobs/", run_page, "run-jobs", RUNNER),
    Page(f"{_AT}/run-jobs/<str:commit>/", run_page, "run-at-commit", RUNNER),
]

"""What the job server reads of studies' repositories, each read with limits: no request waits for git without one.

Mirrors are in WORKDIR/mirrors. A repository that is slow or away is read on in the background, and pages show what was
known of it last, with why that may be out of date.
"""

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from django.db.models import Q

from carrel.jobserver import settings
from carrel.jobserver.models import Backend, Workspace
from carrel.project import Pipeline, ProjectValidationError, load_pipeline
from carrel.project.codelists import (
    FOLDER,
    LIST_FILE,
    MANIFEST_FILE,
    CodelistsUnreadable,
    codelist_problems,
    parse_list,
    parse_manifest,
    sha_of,
)
from carrel.project.constants import DEFAULT_BACKENDS
from carrel.project.loader import PROJECT_FILE, SIDE_FILE
from carrel.project.models import EVERYWHERE
from carrel.repos import (
    CodeDiff,
    FileNotInRepo,
    GitError,
    Limits,
    LoggedCommit,
    Mirrors,
    RepoInfrastructureError,
    RepoSettings,
    commits_between,
)
from carrel.units.settings import read_settings

LOOK_SECONDS = 3.0
"""How long a page waits to hear where a branch is now."""
READ_SECONDS = 10.0
"""How long a page waits for a commit to be read that is not here yet."""
FOLLOW_SECONDS = 120.0
"""How long a branch is read in the background before it is given up."""
MAX_FOLLOWING = 8
"""Branches that one process reads at the same time."""
MAX_FOLLOWING_OF_PROJECT = 3
"""Of these, those of one project: its repositories may hang, and others' are read all the same."""
COMPARE_SECONDS = 1.0
"""How long a page waits to know which files changed since earlier commits."""
MAX_COMPARISONS_REMEMBERED, MAX_PATHS_REMEMBERED = 500, 2_000
MAX_DEFAULTS_TRIED = 20
"""Backends tried as the one on which a study holds that names none, before its problems are told."""
HISTORY = 200
"""Commits of a branch that are fetched and counted."""


class StudyFault(Exception):
    """The study's fault: no such branch, commit or file. The text is for the person who looks."""


class StudyUnavailable(Exception):
    """The repository cannot be read now; trying again later may work."""


@dataclass(frozen=True, slots=True)
class BranchHead:
    """Where a branch is. `problem`: why `commit` may not be the latest; without any `commit`, why none is known."""

    commit: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCode:
    """What one commit of a study says of itself. `subject` and `authored_at` are those of the commit."""

    commit: str
    subject: str = ""
    authored_at: datetime | None = None
    definition: bytes
    """project.yaml as it is there."""
    side_file: bytes | None = None
    codelist_problems: tuple[str, ...] = ()

    @property
    def codelists_ok(self) -> bool:
        return not self.codelist_problems


def mirrors(seconds: float | None = None) -> Mirrors:
    """The job server's mirrors; one call, or all that share a deadline, take at most `seconds` (READ_SECONDS)."""
    seconds = READ_SECONDS if seconds is None else seconds
    policy = read_settings(RepoSettings).policy("jobserver")
    return Mirrors(settings.get().mirrors, policy, Limits(connect=min(5.0, seconds), total=seconds))


# -- where a branch is

_following: dict[tuple[str, str], tuple[int, "Future[str]"]] = {}
"""By repository and branch: the key of the project that asked first, and the answer."""
_following_lock = threading.Lock()


def branch_head(workspace: Workspace, wait: float | None = None) -> BranchHead:
    """Ask the repository where the branch is, for at most `wait` seconds (LOOK_SECONDS); else what was known last."""
    wait = LOOK_SECONDS if wait is None else wait
    try:
        return BranchHead(_follow(workspace.repo_url, workspace.branch, workspace.project_id).result(wait))
    except TimeoutError:
        problem = "The repository has not answered yet. It is still being read: try again in a moment."
    except GitError as error:
        problem = str(error)
    except (RepoInfrastructureError, StudyUnavailable) as error:
        problem = f"{error}. Try again in a moment."
    try:
        last = mirrors(wait).last_head(workspace.repo_url, workspace.branch)
    except (GitError, RepoInfrastructureError):
        last = None
    return BranchHead(last or "", problem)


def _follow(repo_url: str, branch: str, project_id: int) -> "Future[str]":
    """The answer of one thread that follows the branch: of the one that does so already, where there is one."""
    key = repo_url, branch
    with _following_lock:
        if key in _following:
            return _following[key][1]
        of_project = sum(owner == project_id for owner, _ in _following.values())
        if len(_following) >= MAX_FOLLOWING or of_project >= MAX_FOLLOWING_OF_PROJECT:
            raise StudyUnavailable("Too many repositories are being read just now")
        future: Future[str] = Future()
        _following[key] = project_id, future

    def follow() -> None:
        try:
            head = mirrors(FOLLOW_SECONDS).follow_branch(repo_url, branch, HISTORY)
        except BaseException as error:
            outcome: str | BaseException = error
        else:
            outcome = head
        with _following_lock:
            del _following[key]
        if isinstance(outcome, str):
            future.set_result(outcome)
        else:
            future.set_exception(outcome)

    threading.Thread(target=follow, name="follow-branch", daemon=True).start()
    return future


# -- what a commit holds


def check_on_branch(workspace: Workspace, commit: str) -> None:
    """Raise StudyFault unless the commit is, or once was seen to be, on the workspace's branch; StudyUnavailable."""
    with _as_told_to_people():
        mirrors().check_commit_on_branch(workspace.repo_url, commit, workspace.branch)


def study_at(workspace: Workspace, commit: str) -> StudyCode:
    """Read what the study says of itself at a commit; raises StudyFault, StudyUnavailable. Commits are remembered."""
    with _as_told_to_people():
        return _study_at(workspace.repo_url, commit)


@lru_cache(maxsize=64)
def _study_at(repo_url: str, commit: str) -> StudyCode:
    source = mirrors()
    deadline = source.deadline()
    files = source.read_files(repo_url, commit, [PROJECT_FILE, SIDE_FILE], deadline)
    if PROJECT_FILE not in files:
        raise FileNotInRepo(f"There is no {PROJECT_FILE} at commit {commit[:7]}: add one, commit and push it")
    names = [f"{FOLDER}/{name}" for name in source.list_folder(repo_url, commit, FOLDER, deadline)]
    log = source.log(repo_url, commit, 1, deadline)
    return StudyCode(
        commit=commit,
        subject=log[0].subject if log else "",
        authored_at=log[0].authored_at if log else None,
        definition=files[PROJECT_FILE],
        side_file=files.get(SIDE_FILE),
        codelist_problems=problems_of_codelists(source.read_files(repo_url, commit, names, deadline)),
    )


def problems_of_codelists(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """What is wrong with the files of codelists/, by path, with no look at any service."""
    texts = {path: content.decode(errors="replace") for path, content in files.items() if not path.endswith(".csv")}
    if f"{FOLDER}/{LIST_FILE}" not in texts:
        return ()
    try:
        codelists = parse_list(texts[f"{FOLDER}/{LIST_FILE}"])
        manifest = parse_manifest(texts.get(f"{FOLDER}/{MANIFEST_FILE}", '{"files": {}}'))
    except CodelistsUnreadable as error:
        return (str(error),)
    shas = {
        path.removeprefix(f"{FOLDER}/"): sha_of(content) for path, content in files.items() if path.endswith(".csv")
    }
    return tuple(codelist_problems(codelists, manifest, shas))


def texts_at(workspace: Workspace, commit: str, paths: Collection[str]) -> dict[str, str]:
    """Read those of these files that are there at a commit; raises StudyFault, StudyUnavailable."""
    with _as_told_to_people():
        files = mirrors().read_files(workspace.repo_url, commit, paths)
    return {path: content.decode(errors="replace") for path, content in files.items()}


def backend_names(workspace: Workspace, backends: Iterable[Backend] = ()) -> tuple[str, ...]:
    """Return the slugs that the workspace's project file may name: those listed or opted in, and `backends`."""
    may_name = Q(is_listed=True) | Q(opt_ins__project=workspace.project_id)
    slugs = Backend.objects.filter(may_name).values_list("slug", flat=True)
    return tuple(sorted({*slugs, *(backend.slug for backend in backends)}))


def pipeline_of(code: StudyCode, known_backends: tuple[str, ...], default_backend: str = "") -> Pipeline:
    """Read the study's project file as this installation does; raises ProjectValidationError with every problem.

    `default_backend`: where a study runs that names no backends. Empty: on any of the known ones on which it holds.
    """
    outcome = _read(code, known_backends, default_backend)
    if isinstance(outcome, ProjectValidationError):
        raise outcome
    return outcome


@lru_cache(maxsize=64)
def _read(code: StudyCode, known_backends: tuple[str, ...], default_backend: str) -> Pipeline | ProjectValidationError:
    """Remember what is wrong with a file as well as what is right: a large one takes long to read either way."""
    defaults = (default_backend,) if default_backend else known_backends or DEFAULT_BACKENDS
    problem: ProjectValidationError | None = None
    for default in defaults[:MAX_DEFAULTS_TRIED]:
        try:
            return load_pipeline(
                code.definition,
                PROJECT_FILE,
                side_file=code.side_file,
                known_backends=known_backends,
                default_backends=(default,),
            )
        except ProjectValidationError as error:
            problem = error
    assert problem is not None  # there is always a default to try
    return problem


@lru_cache(maxsize=256)
def pipeline_on(code: StudyCode, known_backends: tuple[str, ...], default_backend: str, backend: str) -> Pipeline:
    """Return the tree that one backend runs; raises ProjectValidationError where the study does not run there."""
    pipeline = pipeline_of(code, known_backends, default_backend)
    if pipeline.where == EVERYWHERE and default_backend and backend != default_backend:
        raise ProjectValidationError(
            f"project.yaml names no backends with `run_on`, so the study runs on {default_backend} alone"
        )
    return pipeline.for_backend(backend)


# -- how commits follow each other


def history(workspace: Workspace, commit: str, count: int = HISTORY) -> tuple[LoggedCommit, ...]:
    """Return the latest commits that lead to this one, newest first, as far as they are here. Asks nobody."""
    with _as_told_to_people():
        return mirrors().log(workspace.repo_url, commit, count)


def is_here(workspace: Workspace, commit: str) -> bool:
    """Tell whether a commit can be read without asking the repository, which strangers must not make us do at will."""
    try:
        return bool(history(workspace, commit, 1))
    except (StudyFault, StudyUnavailable):
        return False


def count_commits_between(workspace: Workspace, old: str, new: str) -> int | None:
    """Count the commits of `new` that `old` has not; None where they are too far apart, or not here."""
    return commits_between(history(workspace, new), old, new)


def diff(workspace: Workspace, old: str, new: str, paths: Collection[str] = ()) -> CodeDiff:
    """Return what changed from `old` to `new` in `paths`, or everywhere; raises StudyFault, StudyUnavailable."""
    with _as_told_to_people():
        return mirrors().diff(workspace.repo_url, old, new, paths)


def changed_paths(workspace: Workspace, commits: Iterable[str], new: str) -> dict[str, frozenset[str] | None]:
    """Return for each of these commits which files differ from `new`; None where that cannot be told. Asks nobody."""
    answers: dict[str, frozenset[str] | None] = {}
    source = mirrors(COMPARE_SECONDS)
    deadline = source.deadline()
    for commit in dict.fromkeys(commits):
        key = workspace.repo_url, commit, new
        if commit == new:
            answers[commit] = frozenset()
        elif key in _changed_paths:
            answers[commit] = _changed_paths[key]
        else:
            try:
                answers[commit] = source.changed_paths(*key, deadline)
            except (GitError, RepoInfrastructureError):  # the time is up, or the row holds no commit
                answers[commit] = None
            _remember(key, answers[commit])
    return answers


_changed_paths: dict[tuple[str, str, str], frozenset[str]] = {}
"""What differs between two commits of a repository; it never changes."""


def _remember(key: tuple[str, str, str], paths: frozenset[str] | None) -> None:
    if paths is None or len(paths) > MAX_PATHS_REMEMBERED:
        return
    while len(_changed_paths) >= MAX_COMPARISONS_REMEMBERED:
        _changed_paths.pop(next(iter(_changed_paths)), None)
    _changed_paths[key] = paths


@contextmanager
def _as_told_to_people() -> Iterator[None]:
    """Turn what git says into the two kinds that pages tell apart."""
    try:
        yield
    except GitError as error:
        raise StudyFault(str(error)) from error
    except RepoInfrastructureError as error:
        raise StudyUnavailable(str(error)) from error

"""`carrel demo`: data, toolchain, site, two studies on two backends, and what came out, in one go."""

import csv
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from carrel.clients.rap import RapUnavailable
from carrel.local.settings import LocalSettings
from carrel.site import job_server, review
from carrel.site.board import Board, follow
from carrel.site.catalogues import NOTES, write_catalogues
from carrel.site.client import Requests
from carrel.site.examples import DEFAULT_BACKENDS as BACKENDS
from carrel.site.examples import INSURANCE, MOBILE, SELF_RATED, ExampleStudy
from carrel.site.job_server import StudyRun
from carrel.site.layout import Site, SiteBackend, SiteError
from carrel.site.processes import Running, running
from carrel.site.shipped import shipped
from carrel.site.up import choose_pages_port, choose_port, runtime_of
from carrel.units.ignored import make_ignored
from carrel.units.parts import how_to_install

TABLE_ROWS = 8
WIDEST = 1000
LONG_HEADING = 14
REGISTRY = "carrel"
"""Where the images of `deploy/images/Dockerfile` are named."""


@dataclass(frozen=True, slots=True)
class Demo:
    """Where the demo keeps things, and how it was asked to run."""

    root: Path
    executor: str
    port: int = 0
    keep: bool = False

    def database(self, backend: str) -> Path:
        return self.root / "data" / f"{backend}.duckdb"

    def warehouse(self, backend: str) -> Path:
        return self.root / "data" / "mobile" / "warehouses" / backend

    def repo(self, study: ExampleStudy) -> Path:
        return self.root / f"{study.name}.git"

    def backend(self, name: str, studies: Sequence[ExampleStudy]) -> SiteBackend:
        """Return what the backend of that name needs for these studies."""
        more = {MOBILE.database: f"delta:///{self.warehouse(name)}"} if MOBILE in studies else {}
        return SiteBackend(name, f"duckdb:///{self.database(name)}", more)


def run_demo(demo: Demo, console: Console) -> bool:
    """Run all of it; True when every action of every backend succeeded."""
    started_at = time.monotonic()

    def tell(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    executor = choose_runtime(demo.executor, tell)
    make_ignored(demo.root)
    toolchains = LocalSettings.from_env().toolchains_dir
    python = prepare_toolchain(toolchains, tell)
    link_toolchains(demo.root, toolchains)
    with_archives = find_spec("deltalake") is not None
    if not with_archives:
        tell(f"archives    left out with their study; to have them, {how_to_install('ingest')}")
    studies = (INSURANCE, MOBILE) if with_archives else (INSURANCE,)
    commits = {study: study.commit(demo.repo(study)) for study in studies}
    SELF_RATED.commit(demo.repo(SELF_RATED))  # to be looked at: it runs on north alone
    for study, commit in commits.items():
        tell(f"study       examples/{study.name} at commit {commit[:7]}")
    backends = tuple(demo.backend(name, studies) for name in BACKENDS)
    images = {"DOCKER_REGISTRY": REGISTRY} if executor in ("docker", "podman") else {}
    site = Site(
        demo.root,
        backends,
        port=choose_port(demo.port),
        jobserver_port=choose_pages_port(None, demo.port),
        review_backend=BACKENDS[0],
        review_port=choose_port(0),
        executor=executor,
        toolchains=toolchains,
        extra_env=images,
    )
    with (
        making_data(demo, python, with_archives=with_archives) as made,
        running(site, tell, before_agents=lambda: tell("\n".join(made()))) as up,
    ):
        tell(f"site        {site.url}, runtime {executor}, one agent each for {' and '.join(BACKENDS)}")
        done = job_server.set_up(
            site,
            up.keys,
            [study.workspace(demo.repo(study)) for study in (*studies, SELF_RATED)],
            catalogues=write_catalogues(site, [study.folder / NOTES for study in studies], tell),
            runs=[StudyRun(workspace=study.name, commit=commit) for study, commit in commits.items()],
            checkers=review.CHECKERS,
        )
        tell(f"pages       {job_server.how_to_sign_in(site, up.keys)}")
        review.start(up, done)
        tell("\n".join(how_to_review := review.how_to_sign_in(site, up.keys, done)))
        requests = Requests(site.rap_api, up.keys.client)
        boards = {}
        for study in studies:
            raps = {request.rap_id: request.backend for request in done.sent if request.workspace == study.name}
            console.print(f"\n{study.name}", style="bold", highlight=False)
            boards[study] = Board(raps)
            _follow(up, requests, boards[study], console)
        for study, board in boards.items():
            show_results(site, study, board, console)
        succeeded = all(board.finished and not board.failures for board in boards.values())
        if succeeded and not up.stop.is_set():
            _release(site, up, INSURANCE, console)
        _what_next(demo, site, console, time.monotonic() - started_at)
        if demo.keep and not up.stop.is_set():
            tell(f"the site stays up (--keep); Ctrl-C stops it\n{job_server.how_to_sign_in(site, up.keys)}")
            tell("\n".join(how_to_review))
            up.watch()
    return succeeded


def choose_runtime(executor: str, tell: Callable[[str], None]) -> str:
    """Choose Docker when an engine answers and holds images for the study; else bubblewrap (or what was asked)."""
    if executor != "auto":
        return runtime_of(executor, Path())
    if shutil.which("docker") and _quiet("docker", "info") == 0:
        images = [f"{REGISTRY}/{name}" for name in ("python:v2", "sqlrunner:v1")]
        if all(_quiet("docker", "image", "inspect", image) == 0 for image in images):
            return "docker"
        tell(
            "runtime     a Docker engine answers, but holds no image for this study (docs/how-to/images.md): bubblewrap"
        )
    if shutil.which("bwrap"):
        return "bubblewrap"
    raise SiteError("no container engine answers and bubblewrap is missing: apt-get install bubblewrap")


def _quiet(*command: str) -> int:
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30).returncode


def prepare_toolchain(toolchains: Path, tell: Callable[[str], None]) -> Path:
    """Build the toolchain python:v2 if it is not there, and return its interpreter, which local runs use too."""
    from carrel.executors.toolchains import build

    began = time.monotonic()
    toolchain = build("python", "v2", shipped("requirements/python-v2.txt"), toolchains)
    tell(f"toolchain   python:v2, pandas, statsmodels and matplotlib ({time.monotonic() - began:.1f} s)")
    return toolchain.folder / "bin" / "python"


def link_toolchains(root: Path, toolchains: Path) -> None:
    """Let `toolchains` in the demo's folder lead to the shared store, for scripts that look for it beside the demo."""
    link = root / "toolchains"
    if link.is_symlink():
        link.unlink()
    if not link.exists():
        link.symlink_to(toolchains, target_is_directory=True)


@contextmanager
def making_data(demo: Demo, python: Path, *, with_archives: bool) -> Iterator[Callable[[], list[str]]]:
    """Make the data beside what the block does; the function waits for all of it, and returns what to tell.

    One DuckDB file per backend, made once; and a warehouse per backend, of archives that are made once.
    """
    load = [str(INSURANCE.folder / "load_data.py"), str(demo.root / "data"), "--toolchain-python", str(python)]
    ingest = [str(MOBILE.folder / "make_data.py"), str(demo.root / "data" / "mobile")]
    databases = [demo.database(name) for name in BACKENDS]
    began = time.monotonic()
    with ExitStack() as stack:
        loading = None if all(path.exists() for path in databases) else stack.enter_context(_program(load))
        ingesting = stack.enter_context(_program(ingest)) if with_archives else None

        def finish() -> list[str]:
            if loading:
                _printed(loading, "the example data could not be made")
            names = ", ".join(path.name for path in databases)
            said = [f"data        RAND Health Insurance Experiment: {names}"]
            if ingesting:
                lines = _printed(ingesting, "the example's archives could not be ingested").splitlines()
                seconds = time.monotonic() - began
                said.append(f"archives    ingested into Delta tables: {'; '.join(lines)} ({seconds:.1f} s)")
            return said

        yield finish


@contextmanager
def _program(words: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
    """A program of Python, which ends with the block."""
    argv = [sys.executable, *words]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()


def _printed(process: "subprocess.Popen[str]", problem: str) -> str:
    """Wait for a program, and return what it printed. SiteError where it failed."""
    printed, errors = process.communicate()
    if process.returncode != 0:
        raise SiteError(f"{problem}:\n{errors[-2000:]}")
    return printed


def _follow(up: Running, requests: Requests, board: Board, console: Console) -> None:
    def ask() -> list[dict[str, object]]:
        up.check()
        answer = requests.client.status(list(board.raps))
        if answer.unrecognised_rap_ids:
            raise RapUnavailable(f"The job server has not sent every request yet; see {up.site.logs}/job-server.log")
        return [job.model_dump(mode="json") for job in answer.jobs]

    follow(board, ask, console, stop=up.stop.is_set)


# -- what came out


def level4_outputs(site: Site, backend: str, workspace: str) -> Iterator[tuple[Path, dict[str, object]]]:
    """Files an output checker of this backend may open, with their lines of the manifest."""
    folder = site.level4(backend, workspace)
    manifest = folder / "metadata" / "manifest.json"
    if not manifest.exists():
        return
    for name, about in sorted(json.loads(manifest.read_text())["outputs"].items()):
        if about["level"] == "moderately_sensitive" and not about["excluded"]:
            yield folder / name, about


def show_results(site: Site, study: ExampleStudy, board: Board, console: Console) -> None:
    for job in board.failures:
        console.print(f"\n[bold red]{job['backend']} {job['action']}[/]: {job['status_message']}")
        log = site.high_privacy(str(job["backend"])) / "workspaces" / study.name / "metadata" / f"{job['action']}.log"
        console.print(f"  log: {log}", highlight=False, soft_wrap=True)
    for backend in BACKENDS:
        console.rule(f"{study.name}: level 4 outputs of {backend}", align="left")
        for path, about in level4_outputs(site, backend, study.name):
            console.print(f"{path}  [dim]({about['action']})[/]", highlight=False, soft_wrap=True)
            if path.suffix == ".csv":
                print_whole(csv_table(path), console)


def csv_table(path: Path, rows: int = TABLE_ROWS) -> Table:
    """Return the head of a level 4 table, as it would be looked at."""
    with path.open(newline="") as stream:
        lines = list(csv.reader(stream))
    shown = Table(pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", box=box.SIMPLE_HEAD, show_edge=False)
    for name in lines[0] if lines else []:
        heading = name.replace("_", "_\n") if len(name) > LONG_HEADING else name
        shown.add_column(heading, overflow="fold", vertical="bottom")
    for line in lines[1 : rows + 1]:
        shown.add_row(*line)
    if len(lines) > rows + 1:
        shown.add_row(*["…"] * len(lines[0]))
    return shown


def print_whole(table: Table, console: Console) -> None:
    """With no cell cut: folded on a terminal that is too narrow, and as wide as it is in a file, which has no width."""
    (console if console.is_terminal else Console(file=console.file, width=WIDEST)).print(table)


def _release(site: Site, up: Running, study: ExampleStudy, console: Console) -> None:
    """Have the study's outputs on the backend with a review site checked, released and published; show what became."""
    console.rule(f"{study.name}: review and release on {site.review_backend}", align="left")
    release = review.release_first(up, study.name)
    checkers = " and ".join(review.CHECKERS)
    lines = [f"released    {site.review_backend}/{path}  (approved by {checkers})" for path in release.released]
    lines += [f"held back   {site.review_backend}/{path}: {why}" for path, why in release.held_back.items()]
    if not release.held_back:
        lines.append("held back   nothing: no rule had anything to say")
    lines.append(f"published   {review.publish(site, up.keys, release)}")
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _what_next(demo: Demo, site: Site, console: Console, seconds: float) -> None:
    console.rule("what next", align="left")
    settings = " ".join(f"{name}={value}" for name, value in {"EXECUTOR": site.executor, **site.extra_env}.items())
    local_run = f"{settings} carrel run run_all --backend {BACKENDS[0]}"
    lines = [
        f"Took {seconds:.0f} s. Everything is under {demo.root}.",
        f"  the patient-level files never left   {site.high_privacy(BACKENDS[0])}/workspaces/",
        f"  what an output checker sees          {site.level4(BACKENDS[0], INSURANCE.name)}/",
        f"  put carrel on your path              export PATH={Path(sys.executable).parent}:$PATH",
        f"  the study itself, on dummy data      cd {INSURANCE.folder} && {local_run}",
        "  keep the site up                     ./just demo --keep",
        f"  the tables that archives became      carrel ingest tables --warehouse {demo.warehouse(BACKENDS[0])}",
        f"  which outputs are of older data      cd {MOBILE.folder} && carrel status --site {demo.root}",
        "  write your own                       docs/tutorial/first-study.md",
    ]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

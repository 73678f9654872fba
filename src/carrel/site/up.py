"""`carrel up`: from what was asked on the command line to a running site."""

import socket
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from carrel.agent.databases import FILE_SCHEMES, path_of
from carrel.executors.base import ExecutorError
from carrel.executors.choice import ExecutorSettings, choose_executor, engine_passed_over
from carrel.local.settings import LocalSettings
from carrel.site import job_server, review
from carrel.site.catalogues import NOTES, write_catalogues
from carrel.site.examples import DUMMY_DATABASES, EXAMPLES
from carrel.site.job_server import SetUp
from carrel.site.layout import Site, SiteBackend, SiteError
from carrel.site.processes import Running, running

MAX_PORT = 65535


def backend_of(text: str) -> SiteBackend:
    """Read `NAME` or `NAME=DATABASE_URL` as a backend; SiteError when jobs could never reach that database."""
    name, _, url = text.partition("=")
    if url:
        _check_database(name, url)
    return SiteBackend(name, url or None)


def _check_database(name: str, url: str) -> None:
    scheme, colon, _ = url.partition("://")
    if not colon:
        raise SiteError(f"the database of {name} must be a URL, such as duckdb:///srv/data/{name}.duckdb, not '{url}'")
    if scheme in FILE_SCHEMES and not path_of(url).exists():
        raise SiteError(f"the database of {name} is not there: {path_of(url)} does not exist")


def runtime_of(name: str, toolchains: Path) -> str:
    """Return the executor that `name` (as in EXECUTOR) comes to here; SiteError says what to install otherwise.

    `auto` prefers toolchains that are there to an engine that has no image of the registry in force.
    """
    with tempfile.TemporaryDirectory() as state:
        try:
            settings = ExecutorSettings(
                executor=name, state_dir=Path(state), toolchains_dir=toolchains, owner="carrel-up"
            )
            if engine_passed_over(settings, (), registry_in_force()):
                settings = replace(settings, executor="bubblewrap")
            executor = choose_executor(settings)
        except (ExecutorError, ValueError) as error:
            raise SiteError(str(error)) from None
        with closing(executor) if hasattr(executor, "close") else nullcontext():
            return executor.capabilities.name


def registry_in_force() -> str:
    return LocalSettings.from_env().docker_registry


def choose_port(port: int, option: str = "--port") -> int:
    """Return the port, or a free one for 0; SiteError names the option when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise SiteError(f"port {port} is taken: choose another with {option}, or {option} 0 for any") from None
        return int(probe.getsockname()[1])


def choose_pages_port(pages_port: int | None, port: int) -> int:
    """Return the port of the job server's pages: the one asked for, else the controller's next, else any free one."""
    if pages_port is not None:
        return choose_port(pages_port, "--pages-port")
    with suppress(SiteError):
        return choose_port(port + 1 if 0 < port < MAX_PORT else 0)
    return choose_port(0)


def bring_up(
    backends: Sequence[str],
    root: Path,
    *,
    port: int,
    pages_port: int | None,
    executor: str,
    tell: Callable[[str], object],
) -> None:
    """Start the site and watch it until Ctrl-C."""
    toolchains = LocalSettings.from_env().toolchains_dir
    described = tuple(backend_of(text) for text in backends)
    is_dummy = not any(backend.databases for backend in described)
    site = Site(
        root.resolve(),
        described,
        port=choose_port(port),
        jobserver_port=choose_pages_port(pages_port, port),
        review_backend=described[0].name,
        review_port=choose_port(0),
        dummy_databases=DUMMY_DATABASES if is_dummy else (),
        executor=runtime_of(executor, toolchains),
        toolchains=toolchains,
    )
    with running(site, tell) as started:
        repos = {study: site.root / "studies" / f"{study.name}.git" for study in EXAMPLES}
        for study, repo in repos.items():
            study.commit(repo)
        notes = [path] if (path := site.root / NOTES).is_file() else []
        catalogues = write_catalogues(site, notes, tell, dummies=EXAMPLES if is_dummy else ())
        workspaces = [study.workspace(repo, is_dummy=is_dummy) for study, repo in repos.items()]
        done = job_server.set_up(site, started.keys, workspaces, catalogues=catalogues, checkers=review.CHECKERS)
        review.start(started, done)
        for line in introduction(started, done):
            tell(line)
        started.watch()
        tell("stopping; jobs that run go on and are adopted by the next `carrel up`")


def introduction(started: Running, done: SetUp) -> list[str]:
    """Return what a person is told once the site is up."""
    site = started.site
    lines = [
        f"pages       {job_server.how_to_sign_in(site, started.keys)}",
        *review.how_to_sign_in(site, started.keys, done),
        f"controller  {site.url}  (RAP API {site.rap_api})",
    ]
    for backend in site.backends:
        data = "database configured" if backend.database_url else "no database: actions get dummy data"
        lines.append(f"backend     {backend.name}  ({data})")
        lines.append(f"            level 4 files: {site.medium_privacy(backend.name)}/workspaces/")
    return [
        *lines,
        f"runtime     {_programs(site)}",
        f"logs        {site.logs}/",
        f"tokens      {site.root / 'secrets.json'} (readable by you alone)",
        "",
        "Submit a study:  carrel submit --dir " + str(site.root) + " REPO run_all",
        "Ctrl-C stops all of these; jobs that run go on, and the next `carrel up` takes them over.",
    ]


def _programs(site: Site) -> str:
    if site.executor == "bubblewrap":
        aside = engine_passed_over(ExecutorSettings(toolchains_dir=site.toolchains_dir), (), registry_in_force())
        why = f" ({aside} has no image of {registry_in_force()}; --executor {aside} takes it)" if aside else ""
        return f"bubblewrap, with the toolchains in {site.toolchains_dir}{why}"
    return f"{site.executor}, with images from {registry_in_force()}"

"""`carrel up`: from what was asked on the command line to a running site."""

import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from carrel.site.layout import Backend, Site, SiteError
from carrel.site.processes import Running, running


def backend_of(text: str) -> Backend:
    """`NAME` or `NAME=DATABASE_URL` as a backend."""
    name, _, url = text.partition("=")
    return Backend(name, url or None)


def choose_port(wanted: int) -> int:
    """The wanted port, or a free one for 0; SiteError when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            raise SiteError(f"port {wanted} is taken: choose another with --port, or --port 0 for any") from None
        return int(probe.getsockname()[1])


def bring_up(backends: Sequence[str], root: Path, port: int, executor: str, tell: Callable[[str], object]) -> None:
    """Start the site and watch it until Ctrl-C."""
    site = Site(root.resolve(), tuple(backend_of(text) for text in backends), choose_port(port), executor)
    with running(site, tell) as started:
        for line in introduction(started):
            tell(line)
        started.watch()
        tell("stopping; jobs that run go on and are adopted by the next `carrel up`")


def introduction(started: Running) -> list[str]:
    site = started.site
    lines = [f"controller  {site.url}  (RAP API {site.rap_api})"]
    for backend in site.backends:
        data = "database configured" if backend.database_url else "no database: actions get dummy data"
        lines.append(f"backend     {backend.name}  ({data})")
        lines.append(f"            level 4 files: {site.medium_privacy(backend.name)}/workspaces/")
    return [
        *lines,
        f"logs        {site.logs}/",
        f"tokens      {site.root / 'secrets.json'} (readable by you alone)",
        "",
        "Submit a study:  carrel submit --dir " + str(site.root) + " REPO run_all",
        "Ctrl-C stops all.",
    ]

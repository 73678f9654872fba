"""What a controller and an agent do when there is nothing to do, over 75 s of real time.

A small proxy between the two counts their HTTP requests; the database counts its writers' transactions; what they
wrote is found by comparing all rows and files before and after; the kernel knows their processor time. Targets
(controller.md part 1 "Speed"): at most 4 requests a minute, and no write but the note of when the agent was last
seen. Run: `python -m benchmarks.idle [docker]`.
"""

import re
import socket
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.dag import site_of
from benchmarks.measure import process_seconds
from carrel.site.processes import Running

SECONDS = 75.0
SETTLE_SECONDS = 10.0
REQUESTS_A_MINUTE = 4.0
LAST_SEEN = "last-seen-at"
LOOK_EVERY = 0.01

_REQUEST = re.compile(rb"(GET|POST|PUT|HEAD|DELETE|PATCH) /\S* HTTP/1\.[01]\r\n")


class CountingProxy:
    """Hands bytes on between an agent and a controller, and counts the requests that pass."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.requests: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:  # closed: the benchmark is over
                return
            far = socket.create_connection(self.target)
            for source, sink, counts in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._pump, args=(source, sink, counts), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        while data := _receive(source):
            if counts:
                self.requests += [found.decode().split(" HTTP")[0] for found in _requests_in(data)]
            sink.sendall(data)
        with closing(sink):
            sink.shutdown(socket.SHUT_WR)


def _receive(source: socket.socket) -> bytes:
    try:
        return source.recv(1 << 16)
    except OSError:
        return b""


def _requests_in(data: bytes) -> Iterator[bytes]:
    """A client that speaks HTTP/1.1 sends the head of a request in one piece."""
    return (found.group(0) for found in _REQUEST.finditer(data))


class Writes(threading.Thread):
    """Counts transactions that others commit, by the number that SQLite changes with each."""

    def __init__(self, database: Path) -> None:
        super().__init__(daemon=True)
        self.database, self.count, self.stop = database, 0, threading.Event()

    def run(self) -> None:
        with closing(sqlite3.connect(self.database)) as connection:
            seen = None
            while not self.stop.wait(LOOK_EVERY):
                version = connection.execute("PRAGMA data_version").fetchone()[0]
                self.count += seen is not None and version != seen
                seen = version


def rows_of(database: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows but the one that an idle system may write."""
    with closing(sqlite3.connect(database)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {table: connection.execute(f'SELECT * FROM "{table}"').fetchall() for table in tables}
    rows["controller_flag"] = [row for row in rows["controller_flag"] if LAST_SEEN not in row]
    return rows


def files_of(site: Path) -> dict[str, int]:
    """When each file was last written, but for the database's own."""
    return {
        str(path.relative_to(site)): path.stat().st_mtime_ns
        for path in site.rglob("*")
        if path.is_file() and not path.name.startswith("db.sqlite")
    }


@dataclass(frozen=True)
class Idle:
    """What happened in SECONDS."""

    requests: list[str]
    transactions: int
    changed: list[str]
    """Tables and files that were written, but for the one row allowed."""
    processor: dict[str, float]
    """Seconds, by process."""

    @property
    def a_minute(self) -> float:
        return len(self.requests) * 60 / SECONDS

    @property
    def good(self) -> bool:
        return self.a_minute <= REQUESTS_A_MINUTE and not self.changed and self.transactions <= len(self.requests)

    def __str__(self) -> str:
        kinds = ", ".join(sorted({re.sub(r"seen=\w+", "seen=...", request) for request in self.requests}))
        shares = [
            f"{name} {used:.2f} s ({100 * used / SECONDS:.1f} % of a core)" for name, used in self.processor.items()
        ]
        return (
            f"{SECONDS:.0f} s idle: {len(self.requests)} requests, {self.a_minute:.1f} a minute   target "
            f"{REQUESTS_A_MINUTE:.0f} {'ok' if self.a_minute <= REQUESTS_A_MINUTE else 'TOO MANY'}   ({kinds})\n"
            f"transactions written: {self.transactions} (the agent's being seen), other writes: "
            f"{', '.join(self.changed) or 'none'}   {'ok' if self.good else 'TOO MANY'}\n"
            f"processor time: {', '.join(shares)}"
        )


def observe(running: Running, proxy: CountingProxy) -> Idle:
    """Watch an idle site. The requests are counted from the end of one long poll, or from just after it began."""
    database = Path(running.processes[0].env["WORKDIR"]) / "db.sqlite"
    _wait_for_poll(proxy)
    time.sleep(SETTLE_SECONDS)
    root = running.site.root
    rows, files, before = rows_of(database), files_of(root), _processor(running)
    writes, already = Writes(database), len(proxy.requests)
    writes.start()
    time.sleep(SECONDS)
    requests = proxy.requests[already:]
    after, rows_after, files_after = _processor(running), rows_of(database), files_of(root)
    writes.stop.set()
    writes.join()
    changed = [table for table in rows_after if rows.get(table) != rows_after[table]]
    changed += [name for name in files_after if files.get(name) != files_after[name]]
    used = {name: after[name] - before[name] for name in after}
    return Idle(requests, writes.count, changed, used)


def _wait_for_poll(proxy: CountingProxy) -> None:
    deadline = time.monotonic() + 30
    while not any("seen=" in request for request in list(proxy.requests)):
        if time.monotonic() > deadline:
            raise SystemExit("the agent never asked for its tasks")
        time.sleep(0.05)


def _processor(running: Running) -> dict[str, float]:
    return {process.name: process_seconds(process.popen.pid) for process in running.processes if process.popen}


@contextmanager
def site_with_proxy(name: str, folder: Path) -> Iterator[tuple[Running, CountingProxy]]:
    """A site whose agent reaches the controller through the proxy."""
    proxies: list[CountingProxy] = []

    def through_proxy(running: Running) -> None:
        proxies.append(CountingProxy(("127.0.0.1", running.site.port)))
        for process in running.processes[1:]:
            process.env["CONTROLLER_TASK_API_ENDPOINT"] = proxies[0].url

    with site_of(name, folder, before_start=through_proxy) as running, closing(proxies[0].listener):
        yield running, proxies[0]


def main(names: list[str]) -> int:
    executor = names[0] if names else "bubblewrap"
    with tempfile.TemporaryDirectory() as folder, site_with_proxy(executor, Path(folder)) as (running, proxy):
        idle = observe(running, proxy)
    print(idle)
    return 0 if idle.good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

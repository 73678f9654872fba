"""The controller's processes, real ones: web and sweep, started, killed and started again."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

T = TypeVar("T")


def eventually(look: Callable[[], T], seconds: float = 60.0) -> T:
    """The first true result of `look()`; AssertionError when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s; last: {found!r}"
        time.sleep(0.02)


class Web:
    """One web process on a free port."""

    def __init__(self, environ: Mapping[str, str], *args: str) -> None:
        command = [sys.executable, "-m", "carrel.web.serve", "127.0.0.1:0", *args]
        self.process = subprocess.Popen(
            command, env=dict(environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        line = self.process.stdout.readline()
        if "port" not in line:
            raise AssertionError(f"did not start: {self.process.communicate()[1]}")
        self.url = f"http://127.0.0.1:{line.split()[-1].rstrip('.')}"

    def client(self, token: str = "test-token", **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": token, **headers}, timeout=40)

    def kill(self) -> None:
        _end(self.process)


class Live:
    """The same application served from threads of this process: as real to a client, and there at once."""

    def __init__(self) -> None:
        from django.core.handlers.wsgi import WSGIHandler
        from waitress.server import create_server

        self._server = create_server(
            WSGIHandler(), map={}, host="127.0.0.1", port=0, threads=8, clear_untrusted_proxy_headers=True
        )
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.effective_port}"

    client = Web.client

    def close(self) -> None:
        """Answer what is being answered, and end."""
        end_waitress(self._server, self._thread)


def end_waitress(server: Any, thread: threading.Thread) -> None:
    """Answer what is being answered, then have the loop itself close all, and end: it ends when nothing is open."""
    server.task_dispatcher.shutdown()
    # A loop that was awake already may have closed all, the trigger too, before it is woken.
    with contextlib.suppress(OSError):
        server.trigger.pull_trigger(lambda: server.asyncore.close_all(server._map))
    thread.join()


class Sweeper:
    """One sweep process."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "carrel.controller.service_main"], env=dict(environ), stderr=subprocess.DEVNULL
        )

    def kill(self) -> None:
        _end(self.process)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.communicate()


def environ_of(database_url: str, workdir: Path, **more: str) -> dict[str, str]:
    """Environment of a process of the controller; `more` is added last."""
    return {**os.environ, "CARREL_DATABASE_URL": database_url, "WORKDIR": str(workdir), "DJANGO_DEBUG": "true"} | more


@contextmanager
def web(environ: Mapping[str, str], *args: str) -> Iterator[Web]:
    process = Web(environ, *args)
    try:
        yield process
    finally:
        process.kill()


@contextmanager
def sweeper(environ: Mapping[str, str]) -> Iterator[Sweeper]:
    process = Sweeper(environ)
    try:
        yield process
    finally:
        process.kill()

"""Where batches run: any `concurrent.futures.Executor`. Processes of this machine by default."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any

from carrel.ingest import forkserver

_PATIENCE = 2.0
"""Seconds in which the threads of a pool whose worker died should have ended."""


@dataclass(frozen=True, slots=True)
class Pool:
    """How to make executors: a broken one is replaced. `width`: batches that can run at once."""

    make: Callable[[], Executor]
    width: int
    starts_slowly: bool = False
    """Not worth starting for one small batch."""


def processes(workers: int | None = None) -> Pool:
    """Worker processes of this machine; default: one per processor that we may use."""
    width = workers or len(os.sched_getaffinity(0))

    def make() -> ProcessPoolExecutor:
        environment = dict(os.environ)
        return _Processes(width, mp_context=forkserver.context(), initializer=_begin, initargs=(environment,))

    return Pool(make, width, starts_slowly=True)


def threads(workers: int) -> Pool:
    """Threads of this process; for tests, and where processes may not be started."""
    return Pool(lambda: ThreadPoolExecutor(workers), workers)


def inline() -> Pool:
    """This process alone, one batch after the other."""
    return Pool(InlineExecutor, 1)


def dask(scheduler: str) -> Pool:
    """The workers of a Dask cluster, by the address of its scheduler."""
    from distributed import Client

    with Client(scheduler) as client:
        width = max(1, sum(client.nthreads().values()))
    return Pool(lambda: _DaskExecutor(scheduler), width)


class _DaskExecutor(Executor):
    """A client of the cluster for as long as the executor is used."""

    def __init__(self, scheduler: str):
        from distributed import Client

        super().__init__()
        self.client = Client(scheduler)
        self.executor = self.client.get_executor(pure=False)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = self.executor.submit(fn, *args, **kwargs)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.executor.shutdown(wait=wait)
        self.client.close()


class _Processes(ProcessPoolExecutor):
    """Does not wait for ever for a pool whose worker died.

    Before CPython gh-94777 was mended (Debian 12 has 3.11.2), a thread that writes a large batch into the pipe of the
    workers goes on writing when they are gone, since this process itself could still read it.
    """

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        own: dict[str, Any] = vars(self)
        manager = own.get("_executor_manager_thread")
        if own.get("_broken") and manager is not None:
            manager.join(_PATIENCE)
            if manager.is_alive():
                own["_call_queue"]._reader.close()
        super().shutdown(wait, cancel_futures=cancel_futures)


def _begin(environment: dict[str, str]) -> None:
    """Give a worker the coordinator's environment, not that in which the server of workers began long ago; and end it
    with its coordinator, instead of waiting for work for ever when that was killed."""
    os.environ.clear()
    os.environ.update(environment)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class InlineExecutor(Executor):
    """Runs what is submitted at once, in the caller."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future

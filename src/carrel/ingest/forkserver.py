"""The server that worker processes are forked from. It imports what they need once; begun early, it does so while the
coordinator itself is still importing. So this module imports next to nothing."""

import multiprocessing
import os
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext

_NEEDED = ["carrel.ingest.run.worker"]


def context() -> ForkServerContext:
    """What makes worker processes. Not fork: a forked worker would hold the coordinator's lock, and Arrow's threads do
    not survive a fork."""
    forkserver_context = multiprocessing.get_context("forkserver")
    forkserver_context.set_forkserver_preload(_NEEDED)
    return forkserver_context


def begin_early() -> None:
    """Start the server beside what this process is doing, where there is a processor to spare for it; it ends with
    this process."""
    if len(os.sched_getaffinity(0)) > 1:
        context()
        forkserver.ensure_running()

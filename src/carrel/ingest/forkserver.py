"""The server that worker processes are forked from. It imports what they need once; begun early, it does so while the
coordinator itself is still importing. So this module imports next to nothing."""

import multiprocessing
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext

_NEEDED = ["carrel.ingest.engine.worker"]


def context() -> ForkServerContext:
    """What makes worker processes. Not fork: a forked worker would hold the coordinator's lock, and Arrow's threads do
    not survive a fork."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(_NEEDED)
    return made


def begin() -> None:
    """Start the server, if it is not there yet; it ends with this process."""
    context()
    forkserver.ensure_running()

"""What the job server does besides answering: sends what waits in its outboxes, and asks controllers for news."""

import logging
import threading

logger = logging.getLogger(__name__)


def start_thread() -> threading.Thread:
    """Run the link in a thread of this process until it ends."""
    thread = threading.Thread(target=run, args=(threading.Event(),), name="link", daemon=True)
    thread.start()
    return thread


def run(stop: threading.Event) -> None:
    """Run until `stop` is set."""
    stop.wait()

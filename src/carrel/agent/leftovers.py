"""Collect what killed processes and old failures left: processes, folders, kept outputs. At the start and hourly."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from carrel.agent.context import AgentContext
from carrel.agent.finaliser import KEPT
from carrel.agent.folder import TRASH, AttemptFolder
from carrel.agent.storage import LOCK, Storage
from carrel.agent.tasks import PROCESS_PREFIX
from carrel.executors.base import ExecutorError
from carrel.outputs.trees import remove_tree

logger = logging.getLogger(__name__)


def collect(context: AgentContext, owned: Callable[[], set[str]], now: datetime) -> None:
    """Remove all that is ours and belongs to no attempt in `owned()`; it is asked anew for each thing found."""
    _collect_processes(context, owned)
    _collect_folders(context.storage, owned)
    before = now - timedelta(days=context.settings.failed_outputs_days)
    for folder in context.storage.high.glob(f"logs/*/*/{KEPT}"):
        if folder.stat().st_mtime < before.timestamp():
            logger.info("Removing old outputs of the failed job %s", folder.parent.name)
            remove_tree(folder)


def _collect_processes(context: AgentContext, owned: Callable[[], set[str]]) -> None:
    for name in context.executor.list():
        if name.startswith(PROCESS_PREFIX) and name.removeprefix(PROCESS_PREFIX) not in owned():
            logger.warning("Removing the process %s, which belongs to no attempt", name)
            try:
                context.executor.stop(name)
                context.executor.remove(name)
            except ExecutorError:
                logger.exception("%s could not be removed", name)


def _collect_folders(storage: Storage, owned: Callable[[], set[str]]) -> None:
    for path in sorted(storage.volumes.iterdir()):
        if path.name.startswith(TRASH):
            remove_tree(path)
        elif path.is_dir() and path.name != LOCK and not path.name.startswith(".") and path.name not in owned():
            logger.warning("Removing the working folder %s, which belongs to no attempt", path.name)
            AttemptFolder(path).remove()

"""Tasks about the database itself: is it under maintenance, is its data what it should be (controller.md 2.1).

The program's output is never passed on: it selects one of a few fixed answers, or none.
"""

import logging
import re
import tempfile
from pathlib import Path
from typing import Any

from carrel.agent import databases, results
from carrel.agent.context import AgentContext
from carrel.agent.errors import kind_of
from carrel.executors.base import RunSpec
from carrel.messages.tasks import Task, TaskType

logger = logging.getLogger(__name__)
MAINTENANCE = "db-maintenance"
LIMIT_SECONDS = 300.0
_STATUS = re.compile(r"(|db-maintenance|(?:db-maintenance|none);[012])")
_CHECKS = {"OK", "FAILED"}
_TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\dT\S+ ?")


def run(context: AgentContext, task: Task, name: str) -> dict[str, Any]:
    """Run a dbstatus or dbdatacheck task and return its `results`. Never raises for what the database does."""
    try:
        return {"results": {"status": _check(context, task, name)}, "error": None}
    except Exception as error:
        reference = results.new_reference()
        logger.warning("%s failed, reference %s", task.id, reference, exc_info=error)
        message = f"The check could not be made. Reference {reference}"
        return {"results": None, "error": {"type": str(kind_of(error)), "message": message}}


def _check(context: AgentContext, task: Task, name: str) -> str:
    if context.settings.using_dummy_data_backend:
        return "" if task.type is TaskType.DBSTATUS else "OK"
    line = _read_last_line(context, task, name)
    if task.type is TaskType.DBSTATUS and _STATUS.fullmatch(line):
        return MAINTENANCE if line.startswith(MAINTENANCE) else ""
    if task.type is TaskType.DBDATACHECK and line in _CHECKS:
        return line
    raise ValueError("the check's answer is none of those allowed")


def _read_last_line(context: AgentContext, task: Task, name: str) -> str:
    """Run the check's process and return the last line of its log."""
    with tempfile.TemporaryDirectory(prefix=".check-", dir=context.storage.volumes) as folder:
        try:
            context.executor.start(_run_spec(context, task, name, Path(folder)))
            if not context.executor.wait([name], LIMIT_SECONDS):
                raise TimeoutError("the check did not end in time")
            log: list[bytes] = []
            context.executor.logs(name, log.append)
            if context.executor.inspect(name).exit_code != 0:
                raise ValueError("the check ended with an error")
        finally:
            context.executor.remove(name)
    lines = b"".join(log).decode(errors="replace").splitlines()
    return _TIMESTAMP.sub("", lines[-1]).strip() if lines else ""


def _run_spec(context: AgentContext, task: Task, name: str, folder: Path) -> RunSpec:
    definition = task.definition
    args: tuple[str, ...] = ("in_maintenance_mode",)
    if task.type is not TaskType.DBSTATUS:
        args = ("hes_cutoff_date_check", str(definition["hes_expected_activity_month"]))
    workspace = folder / "workspace"
    workspace.mkdir()
    image = context.images.pull_reference(definition["image"])
    context.executor.prepare_image(image, definition.get("image_sha"))
    url = databases.url_named(definition.get("database_name"), context.settings)
    access = databases.grant_access_to(url, context.settings, folder / "pins")
    return RunSpec(
        name=name,
        image=image,
        args=args,
        workspace=context.host_path(workspace),
        image_sha=definition.get("image_sha"),
        env=access.env,
        mounts=access.mounts,
        network=access.network,
    )

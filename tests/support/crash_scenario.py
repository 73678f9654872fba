"""A client, an agent and a sweep, as one process that may be killed anywhere and is then simply run again.

It remembers nothing between runs, as those three would not: all it knows it reads from the controller.
`python -m tests.support.crash_scenario [FILE]` writes to FILE the names of the fault points it passed, one a line.
"""

import os
import sys
from pathlib import Path


def main(points_file: str | None) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "carrel.web.settings")
    import django

    django.setup()
    from carrel.telemetry import faults

    passed: dict[str, None] = {}
    faults.on_point(lambda name: passed.setdefault(name))
    scenario()
    if points_file:
        Path(points_file).write_text("".join(f"{name}\n" for name in passed))


RAP_ID = "crashcrashcrash1"


def scenario() -> None:
    """a, then b which needs it, c which is cancelled while it runs, d whose input is gone."""
    from tests.support.controller import new_job, rap_fields

    from carrel.controller import service
    from carrel.jobs.identifiers import job_id

    rap, _ = service.open_rap(rap_fields(id=RAP_ID, requested_actions=("a", "b", "c", "d")))
    a = job_id(RAP_ID, "a")
    waits = {"needs": ("a",), "wait_for_job_ids": (a,)}
    jobs = [new_job("a"), new_job("b", **waits), new_job("c"), new_job("d", **waits)]
    service.create_jobs(rap.id, lambda: jobs)
    service.cancel_actions(rap.id, ["c"], ["test"])
    while step():
        pass


def step() -> bool:
    """The sweep once, then one report about each task there is; False when there is none."""
    from carrel.controller.service import updates
    from carrel.controller.sweep import Sweep
    from carrel.controller.task_api import active_tasks
    from carrel.messages.tasks import TaskUpdate

    Sweep().once()
    tasks = active_tasks("test").rows
    for task in tasks:
        done = task.agent_stage == "executing" or task.type == "canceljob"
        update = TaskUpdate(
            task_id=task.task_id,
            stage="finalized" if done else "executing",
            results=results_of(task.definition["action"]) if done else None,
            complete=done,
            attempt_token=task.attempt_token,
        )
        if task.type == "canceljob":
            updates.apply_updates("test", [update])
        else:
            updates.apply_update("test", update)
    return bool(tasks)


def results_of(action: str) -> dict:
    from tests.support.controller import results

    if action == "d":
        return results(error={"type": "input_missing", "action": "a", "stage": "prepare", "reference": "r1"})
    return results()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)

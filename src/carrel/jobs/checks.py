"""Checks of a whole plan before any of its jobs is made (spec: controller.md part 1 and section 3.3)."""

from collections.abc import Mapping

from carrel.jobs.models import Capacity
from carrel.jobs.plan import Plan, PlanError


class StaleCodelists(PlanError):
    """`action`: the first new job that reads the database."""

    def __init__(self, action: str) -> None:
        self.action = action
        super().__init__(f"Codelists are out of date (required by action {action})")


class TooHeavy(PlanError):
    """A job is heavier than the pool it would run in, and would wait for ever."""

    def __init__(self, action: str, weight: float, limit: float, requires_db: bool) -> None:
        self.action = action
        workers = "database workers" if requires_db else "workers"
        super().__init__(
            f"Action '{action}' takes {weight:g} {workers}, and this backend has {limit:g}: it could never start. "
            "Ask those who run the backend to change its job-resource-weights file or its number of workers."
        )


def check_codelists(planned: Plan, codelists_ok: bool) -> None:
    """Raises StaleCodelists when the codelists are out of date and a new job reads the database."""
    if codelists_ok:
        return
    for run in planned.runs:
        if run.requires_db:
            raise StaleCodelists(run.action)


def check_weights(planned: Plan, weights: Mapping[str, float], capacity: Capacity) -> None:
    """Raises TooHeavy for the first new job that is heavier than its whole pool. `weights`: by action, default 1."""
    for run in planned.runs:
        weight, limit = weights.get(run.action, 1.0), capacity.limit(run.requires_db)
        if weight > limit:
            raise TooHeavy(run.action, weight, limit, run.requires_db)

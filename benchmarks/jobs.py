"""How fast planning and scheduling are, against a floor measured in the same run.

The floor is the least that any answer needs: for a plan, a walk over all needs; for a scheduling pass, sorting the
jobs by age and looking at each once. Times are processor time: nothing here waits, and other programs on the machine do
not count. Targets: spec controller.md part 1 "Speed". Run: `python -m benchmarks.jobs`.
"""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.measure import Figure, median_seconds
from carrel.jobs.models import ActiveJob, Capacity, LatestJob, SchedulerInput
from carrel.jobs.plan import plan
from carrel.jobs.schedule import schedule
from carrel.jobs.statuses import STATUSES, State, StatusCode, state_of

NOW = datetime(2026, 5, 3, 12, 0, tzinfo=UTC)
ACTIONS = 1_000
JOBS = 10_000
WORKSPACES = 200


@dataclass(frozen=True)
class Step:
    needs: list[str]
    is_database_action: bool


@dataclass(frozen=True)
class Steps:
    actions: dict[str, Step]


def pipeline() -> Steps:
    """1,000 actions, each of which needs up to five of the twenty before it."""
    names = [f"action_{number}" for number in range(ACTIONS)]
    return Steps(
        {
            name: Step([names[place - back] for back in (1, 2, 3, 5, 20) if place >= back], place % 10 == 0)
            for place, name in enumerate(names)
        }
    )


def walk(steps: Steps) -> set[str]:
    seen: set[str] = set()
    for name, step in steps.actions.items():
        seen.add(name)
        seen.update(step.needs)
    return seen


def half_failed(steps: Steps) -> dict[str, LatestJob]:
    codes = (StatusCode.NONZERO_EXIT, StatusCode.SUCCEEDED)
    return {
        name: LatestJob(
            id=f"id-{name}",
            action=name,
            state=state_of(codes[place % 2]),
            status_code=codes[place % 2],
            created_at=NOW,
            completed_at=NOW,
            commit="abc",
        )
        for place, name in enumerate(steps.actions)
    }


def plans() -> list[Figure]:
    steps, target = pipeline(), 0.2
    latest, floor = half_failed(steps), median_seconds(lambda: walk(steps))
    last = list(steps.actions)[-1]
    return [
        Figure(name, median_seconds(work), floor, target)
        for name, work in {
            "plan: 1,000 actions, run_all, none has run": lambda: plan(["run_all"], steps, {}),
            "plan: 1,000 actions, run_all, half failed": lambda: plan(["run_all"], steps, latest),
            "plan: the last of 1,000 actions, forced": lambda: plan([last], steps, latest, force=True),
        }.items()
    ]


def job(number: int, code: StatusCode) -> ActiveJob:
    return ActiveJob(
        id=f"job-{number}",
        backend="north",
        workspace=f"workspace-{number * 7919 % WORKSPACES}",
        action=f"action_{number % ACTIONS}",
        state=state_of(code),
        status_code=code,
        status_message=STATUSES[code].message,
        created_at=NOW - timedelta(seconds=number * 31 % 86_400),
        updated_at=NOW,
        started_at=NOW if state_of(code) is State.RUNNING else None,
        requires_db=number % 3 == 0,
        wait_for=(f"job-{number - 1}",) if number % 4 == 3 else (),
        agent_stage=code.value,
    )


def world(code: StatusCode, room: float = 25) -> SchedulerInput:
    jobs = [job(number, StatusCode.EXECUTING if number < 50 else code) for number in range(JOBS)]
    return SchedulerInput(backend="north", jobs=tuple(jobs), capacity=Capacity(room, room))


def look_at_each(inp: SchedulerInput) -> int:
    in_order = sorted(inp.jobs, key=lambda each: each.created_at)
    return sum(1 for each in in_order if each.state is State.PENDING)


def passes() -> list[Figure]:
    first, target = world(StatusCode.CREATED), 0.1
    floor = median_seconds(lambda: look_at_each(first))
    worlds = {
        "schedule: 10,000 active jobs, all just created": first,
        "schedule: 10,000 active jobs, most waiting already": world(StatusCode.WAITING_ON_WORKERS),
        "schedule: 10,000 active jobs, room for all": world(StatusCode.CREATED, room=10 * JOBS),
        "schedule: 10,000 active jobs, all running": world(StatusCode.EXECUTING),
    }
    return [
        Figure(name, median_seconds(lambda inp=inp: schedule(inp, NOW)), floor, target) for name, inp in worlds.items()
    ]


def main() -> int:
    figures = [*plans(), *passes()]
    print(*figures, sep="\n")
    return 0 if all(figure.good for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())

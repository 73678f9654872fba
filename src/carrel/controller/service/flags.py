"""Flags: named values of one backend that people and status tasks set."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from carrel.controller import clock
from carrel.controller.models import Flag
from carrel.controller.service import events
from carrel.controller.service.queries import all_rows, readable
from carrel.jobs.models import BackendFlags

PAUSED = "paused"
MODE = "mode"
DB_MAINTENANCE = "db-maintenance"
MANUAL_DB_MAINTENANCE = "manual-db-maintenance"
CHECKS_DISABLED = "db-maintenance-checks-disabled"
LAST_SEEN = "last-seen-at"
LAST_SEEN_EVERY = timedelta(seconds=15)


def get_flags(backend: str, names: Iterable[str] | None = None) -> list[Flag]:
    """Flags of a backend by name; with `names`, one for each, unset ones as rows that are not saved (value None)."""
    rows: list[Flag] = all_rows(Flag.objects.filter(backend=backend).order_by("name"))
    by_name = {flag.name: flag for flag in rows}
    if names is None:
        return list(by_name.values())
    return [by_name.get(name) or Flag(name=name, backend=backend, value=None) for name in names]


def value_of(backend: str, name: str) -> str | None:
    return Flag.objects.filter(backend=backend, name=name).values_list("value", flat=True).first()


def scheduler_flags(backend: str) -> BackendFlags:
    """What the scheduler looks at."""
    values = dict(Flag.objects.filter(backend=backend, name__in=[PAUSED, MODE]).values_list("name", "value"))
    return BackendFlags(paused=is_true(values.get(PAUSED)), mode=values.get(MODE) or "")


def is_true(value: str | None) -> bool:
    return (value or "").lower() == "true"


def write(backend: str, name: str, value: str | None, actor: str) -> Flag:
    """Write one flag and its event, inside a transaction of the caller's. The value it has already changes nothing."""
    flag = Flag.objects.filter(backend=backend, name=name).defer("timestamp").first()
    if flag is not None and flag.value == value:
        return flag
    before = flag.value if flag else None
    if flag is None:
        flag = Flag(backend=backend, name=name)
    flag.value, flag.timestamp = value, clock.now()
    flag.save()
    events.record("flag.set", actor, backend=backend, flag=name, value=value, before=before)
    return flag


def saw_agent(backend: str, now: datetime | None = None) -> None:
    """Note that the agent was here: at most one small write per 15 s. No event, this is no change of state."""
    now = now or clock.now()
    seen, _ = readable(Flag.objects.filter(backend=backend, name=LAST_SEEN).values_list("timestamp", flat=True))
    if not seen or seen[0] is None or not timedelta(0) <= now - seen[0] < LAST_SEEN_EVERY:
        Flag.objects.update_or_create(
            backend=backend, name=LAST_SEEN, defaults={"value": now.isoformat(), "timestamp": now}
        )

"""How backends stand and stood, in words and as stretches of time. Pure: rows in, values out."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from carrel.jobserver.models import Backend, BackendHour
from carrel.pages.charts import StateSpan
from carrel.pages.frame import BackendState
from carrel.pages.status_words import Family

HOUR = timedelta(hours=1)
_FAMILIES = {
    BackendState.UP: Family.SUCCEEDED,
    BackendState.PAUSED: Family.WAITING,
    BackendState.MAINTENANCE: Family.WAITING,
    BackendState.MISSING: Family.FAILED,
}


@dataclass(frozen=True, slots=True)
class BackendStanding:
    """How a backend stands: its state (None: never heard of, or switched off), since when, and a chip's words."""

    state: BackendState | None
    since: datetime | None
    family: Family
    word: str


def standing_of(backend: Backend, now: datetime) -> BackendStanding:
    """Tell how a backend stands now; what is missing is worse than what is paused."""
    if not backend.is_active:
        return BackendStanding(None, None, Family.STOPPED, "Switched off")
    if backend.last_seen_at is None:
        return BackendStanding(None, None, Family.STOPPED, "Not heard of yet")
    state, since = BackendState.UP, None
    if now - backend.last_seen_at > timedelta(seconds=backend.alert_timeout_seconds):
        state, since = BackendState.MISSING, backend.last_seen_at
    elif backend.in_maintenance:
        state, since = BackendState.MAINTENANCE, backend.maintenance_since
    elif backend.is_paused:
        state, since = BackendState.PAUSED, backend.paused_since
    return BackendStanding(state, since, _FAMILIES[state], state.value.capitalize())


def hour_spans(hours: Iterable[BackendHour], now: datetime) -> list[StateSpan]:
    """Return the stretches of time in which a backend was in one state: that of most answers of each hour.

    `hours` in their order. An hour in which nobody asked is in no span.
    """
    spans: list[StateSpan] = []
    for hour in hours:
        if not hour.asked:
            continue
        end = min(hour.hour + HOUR, now)
        state = state_of_hour(hour)
        if spans and spans[-1].end == hour.hour and spans[-1].state == state:
            spans[-1] = StateSpan(spans[-1].start, end, state)
        else:
            spans.append(StateSpan(hour.hour, end, state))
    return spans


def state_of_hour(hour: BackendHour) -> BackendState:
    """Return the state that most answers of the hour told; of equally many, the worse one."""
    missing = hour.asked - hour.up - hour.paused - hour.maintenance
    counts = {
        BackendState.MISSING: missing,
        BackendState.MAINTENANCE: hour.maintenance,
        BackendState.PAUSED: hour.paused,
        BackendState.UP: hour.up,
    }
    return max(counts, key=lambda state: counts[state])

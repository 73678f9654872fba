"""Why nothing may run somewhere: the first reason, for the cell and in whole."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from carrel.jobserver.rights.running import RunConditions, refusal_to_run

ALLOWED = RunConditions(backend="north", may_run=True, is_member=True, is_opted_in=True, today=date(2026, 12, 1))


def test_nothing_stands_against_it() -> None:
    assert refusal_to_run(ALLOWED) is None
    assert refusal_to_run(replace(ALLOWED, ends_on=date(2026, 12, 1))) is None


@pytest.mark.parametrize(
    ("changes", "short", "reason"),
    [
        ({"is_archived": True}, "archived", "This workspace or its project is archived: nothing new runs in it."),
        ({"ends_on": date(2026, 11, 30)}, "project ended", "The project ended on 30 November 2026."),
        ({"may_run": False}, "no right to run", "Your role in this project does not let you run actions."),
        ({"is_active": False}, "not active", "north takes no requests"),
        ({"is_opted_in": False}, "not opted in", "This project is not opted in to north. Staff can grant it."),
        ({"is_member": False}, "not a member", "You are not a member of north. Staff can add you."),
        ({"needs_second_factor": True}, "second factor", "north asks for a second factor"),
    ],
)
def test_each_reason(changes: dict[str, Any], short: str, reason: str) -> None:
    refusal = refusal_to_run(replace(ALLOWED, **changes))
    assert refusal is not None
    assert refusal.short == short
    assert refusal.reason.startswith(reason)

"""Whether a person may run a project's actions on a backend: all reasons against it, as one value. Pure."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConditions:
    """What the answer depends on. `ends_on`: the project's last day; `today`: UTC."""

    backend: str
    may_run: bool
    is_member: bool
    is_opted_in: bool
    is_active: bool = True
    is_archived: bool = False
    ends_on: date | None = None
    today: date
    needs_second_factor: bool = False


@dataclass(frozen=True, slots=True)
class RunRefusal:
    """Why not: a word or two for a cell, and the whole reason with who can change it."""

    short: str
    reason: str


def refusal_to_run(conditions: RunConditions) -> RunRefusal | None:
    """Return the first reason why nothing may run there, or None when it may."""
    backend = conditions.backend
    if conditions.is_archived:
        return RunRefusal("archived", "This workspace or its project is archived: nothing new runs in it.")
    if conditions.ends_on is not None and conditions.today > conditions.ends_on:
        day = f"{conditions.ends_on.day} {conditions.ends_on:%B %Y}"
        return RunRefusal("project ended", f"The project ended on {day}. Staff can change its end date.")
    if not conditions.may_run:
        return RunRefusal("no right to run", "Your role in this project does not let you run actions. Ask its lead.")
    if not conditions.is_active:
        return RunRefusal("not active", f"{backend} takes no requests: staff have switched it off.")
    if not conditions.is_opted_in:
        return RunRefusal("not opted in", f"This project is not opted in to {backend}. Staff can grant it.")
    if not conditions.is_member:
        return RunRefusal("not a member", f"You are not a member of {backend}. Staff can add you.")
    if conditions.needs_second_factor:
        return RunRefusal(
            "second factor", f"{backend} asks for a second factor: add one in your account, then sign in."
        )
    return None

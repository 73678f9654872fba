"""What a person's grants permit: by project, by backend, with trainings that expire."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.jobserver.rights.grants import Grant, HeldRequirement, Rights, permissions_of
from carrel.jobserver.rights.permissions import WORDS, Permission
from carrel.jobserver.rights.roles import DEFAULT_ROLES

RUN = Permission.JOB_RUN
TODAY = date(2026, 12, 1)


def rights(*grants: Grant, requirements: tuple[HeldRequirement, ...] = ()) -> Rights:
    return Rights(grants, requirements, TODAY)


def grant(project: int | None = None, backend: int | None = None, *requires: str) -> Grant:
    permissions = frozenset([str(RUN)])
    return Grant(
        role="Project developer",
        permissions=permissions,
        project_id=project,
        backend_id=backend,
        requires=frozenset(requires),
    )


def test_nobody_may_do_anything_without_a_grant() -> None:
    assert not rights().holds(RUN)
    assert not rights().holds_anywhere(RUN)
    assert rights().why_not(RUN) == "None of your roles here lets you run actions."


@given(
    st.none() | st.integers(1, 3),
    st.none() | st.integers(1, 3),
    st.none() | st.integers(1, 3),
    st.none() | st.integers(1, 3),
)
def test_a_grant_counts_where_it_holds(
    of_project: int | None, of_backend: int | None, project: int | None, backend: int | None
) -> None:
    holder = rights(grant(of_project, of_backend))
    expected = (of_project is None or of_project == project) and (of_backend is None or of_backend == backend)
    assert holder.holds(RUN, project_id=project, backend_id=backend) is expected
    assert bool(holder.why_not(RUN, project_id=project, backend_id=backend)) is not expected
    assert holder.holds_anywhere(RUN)
    assert not holder.holds(Permission.JOB_CANCEL, project_id=project, backend_id=backend)


@pytest.mark.parametrize(
    ("expires_on", "holds"),
    [(None, True), (date(2026, 12, 2), True), (date(2026, 12, 1), False), (date(2020, 1, 1), False)],
)
def test_a_role_that_requires_training_counts_until_it_expires(expires_on: date | None, holds: bool) -> None:
    holder = rights(
        grant(None, None, "safe-researcher"), requirements=(HeldRequirement("safe-researcher", expires_on),)
    )
    assert holder.holds(RUN) is holds
    assert holder.holds_anywhere(RUN) is holds
    reason = "Your role Project developer needs what you do not have, or no longer: safe-researcher."
    assert holder.why_not(RUN) == ("" if holds else reason)


def test_the_grant_that_lacks_least_is_told() -> None:
    holder = rights(grant(None, None, "a", "b"), grant(None, None, "c"))
    assert holder.why_not(RUN).endswith(": c.")


def test_default_roles_name_permissions_that_have_words() -> None:
    named = {permission for role in DEFAULT_ROLES for permission in role.permissions}
    assert named == set(Permission) == set(WORDS)
    assert len({role.name for role in DEFAULT_ROLES}) == len(DEFAULT_ROLES)


def test_the_union_of_grants() -> None:
    assert permissions_of([grant(), grant(1)]) == ["job_run"]

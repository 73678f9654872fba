"""The rights of one person as a value: which grants count, and what they permit where. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from carrel.jobserver.rights.permissions import WORDS, Permission


@dataclass(frozen=True, slots=True)
class HeldRequirement:
    """A training or agreement that somebody has; `expires_on` is the first day on which it no longer holds."""

    slug: str
    expires_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One role of a person: its permissions in one project or everywhere (None), on one backend or on all (None).

    `requires`: slugs of the trainings and agreements without which it permits nothing.
    """

    role: str
    permissions: frozenset[str]
    project_id: int | None = None
    backend_id: int | None = None
    requires: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Rights:
    """All grants of a person, and the trainings and agreements they hold. `today` decides what has expired."""

    grants: tuple[Grant, ...] = ()
    requirements: tuple[HeldRequirement, ...] = ()
    today: date = date.max

    def lacks(self, grant: Grant) -> frozenset[str]:
        """Return the slugs of what the grant requires and this person does not have, or no longer."""
        current = {
            requirement.slug
            for requirement in self.requirements
            if requirement.expires_on is None or self.today < requirement.expires_on
        }
        return grant.requires - current

    def holds(self, permission: Permission, *, project_id: int | None = None, backend_id: int | None = None) -> bool:
        """Tell whether some effective grant permits this, there.

        Without `project_id`, only grants that hold everywhere count; without `backend_id`, those of one backend do not.
        """
        return any(not self.lacks(grant) for grant in self._granting(permission, project_id, backend_id))

    def holds_anywhere(self, permission: Permission) -> bool:
        """Tell whether some effective grant permits this in any project or on any backend."""
        return any(permission in grant.permissions and not self.lacks(grant) for grant in self.grants)

    def why_not(self, permission: Permission, *, project_id: int | None = None, backend_id: int | None = None) -> str:
        """Say what is missing for this permission, in a sentence; empty when nothing is."""
        granting = self._granting(permission, project_id, backend_id)
        if any(not self.lacks(grant) for grant in granting):
            return ""
        if granting:
            lacking = min((sorted(self.lacks(grant)) for grant in granting), key=len)
            return f"Your role {granting[0].role} needs what you do not have, or no longer: {', '.join(lacking)}."
        return f"None of your roles here lets you {WORDS[permission]}."

    def _granting(self, permission: Permission, project_id: int | None, backend_id: int | None) -> list[Grant]:
        return [
            grant
            for grant in self.grants
            if permission in grant.permissions
            and grant.project_id in (None, project_id)
            and grant.backend_id in (None, backend_id)
        ]


def permissions_of(grants: Iterable[Grant]) -> list[str]:
    """Return the union of the grants' permissions, sorted."""
    return sorted({permission for grant in grants for permission in grant.permissions})

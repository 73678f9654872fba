"""The rights of an account, read from its rows: at most two questions to the database."""

import unicodedata

from django.db.models import Q
from django.utils import timezone

from carrel.jobserver.models import PersonRequirement, RoleAssignment, User
from carrel.jobserver.rights.grants import Grant, HeldRequirement, Rights


def rights_of(user: User | None) -> Rights:
    """Return what the account may do now; a stranger (None) and an account that is closed may do nothing."""
    today = timezone.now().date()
    if user is None or not user.is_authenticated or not user.is_active:
        return Rights(today=today)
    assignments = RoleAssignment.objects.filter(user=user).select_related("role").prefetch_related("role__requirements")
    grants = tuple(
        Grant(
            role=assignment.role.title,
            permissions=frozenset(assignment.role.permissions),
            project_id=assignment.project_id,
            backend_id=assignment.backend_id,
            requires=frozenset(requirement.slug for requirement in assignment.role.requirements.all()),
        )
        for assignment in assignments
    )
    if not any(grant.requires for grant in grants):
        return Rights(grants, today=today)
    # The latest record of each training or agreement counts.
    latest: dict[str, HeldRequirement] = {}
    records = PersonRequirement.objects.filter(user=user).select_related("requirement").order_by("created_at", "id")
    for record in records:
        latest[record.requirement.slug] = HeldRequirement(record.requirement.slug, record.expires_on)
    return Rights(grants, tuple(latest.values()), today)


def person_named(text: str) -> User | None:
    """Return the account of this username or address; None where nobody has it, or where it names two accounts.

    A username may look like somebody else's address: nobody is taken for another by it.
    """
    name = text.strip()
    named = Q(username=unicodedata.normalize("NFKC", name)) | Q(email=name.lower())
    persons = list(User.objects.filter(named)[:2]) if name else []
    return persons[0] if len(persons) == 1 else None

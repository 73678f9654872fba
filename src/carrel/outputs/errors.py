"""The two families of what can go wrong with an attempt, never mixed (DESIGN section 4, rule 6).

`UserError` ends the job: trying again does not help. `InfrastructureFault` says nothing of the study: the controller
tries again. What the controller learns of either is `kind`, and never the text, which goes to the job's log on the
secure side.
"""

from carrel.jobs.outcomes import ErrorType


class UserError(Exception):
    """The study's, the request's or the backend's settings; the text is for people on the secure side."""

    kind = ErrorType.USER_ERROR


class InfrastructureFault(Exception):
    """Ours: disk, runtime, network."""

    kind = ErrorType.INTERNAL_ERROR


class StorageDamaged(InfrastructureFault):
    """A file of ours cannot be understood; it is left as it is for a person to look at."""

    kind = ErrorType.MANIFEST_DAMAGED

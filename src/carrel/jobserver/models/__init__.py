"""Tables of the job server. Rows change only through `carrel.jobserver.service`.

Times are timezone-aware UTC. Where a table has `X_at` and `X_by`, both are set or neither is.
"""

from carrel.jobserver.models.audit import AuditEvent
from carrel.jobserver.models.backends import (
    Backend,
    BackendHour,
    BackendMembership,
    BackendToken,
    CatalogueVersion,
    ProjectBackend,
)
from carrel.jobserver.models.links import ControllerContact, WorkLease
from carrel.jobserver.models.notices import Alert, OutgoingMessage, Webhook
from carrel.jobserver.models.people import (
    Level4Token,
    Organisation,
    OrganisationMembership,
    PersonalToken,
    PersonRequirement,
    Requirement,
    User,
)
from carrel.jobserver.models.projects import (
    DataPermission,
    Project,
    ProjectMembership,
    ProjectOrganisation,
    Redirect,
    Workspace,
)
from carrel.jobserver.models.releases import (
    PublishRequest,
    Release,
    ReleaseFile,
    ReleaseFileReview,
    Snapshot,
)
from carrel.jobserver.models.roles import Role, RoleAssignment
from carrel.jobserver.models.runs import (
    Cancellation,
    Job,
    JobRequest,
    JobStatusChange,
    ProjectDefinition,
    RunGroup,
    Schedule,
)
from carrel.jobserver.models.usage import DataUse, UsageMonth

__all__ = [
    "Alert",
    "AuditEvent",
    "Backend",
    "BackendHour",
    "BackendMembership",
    "BackendToken",
    "Cancellation",
    "CatalogueVersion",
    "ControllerContact",
    "DataPermission",
    "DataUse",
    "Job",
    "JobRequest",
    "JobStatusChange",
    "Level4Token",
    "Organisation",
    "OrganisationMembership",
    "OutgoingMessage",
    "PersonRequirement",
    "PersonalToken",
    "Project",
    "ProjectBackend",
    "ProjectDefinition",
    "ProjectMembership",
    "ProjectOrganisation",
    "PublishRequest",
    "Redirect",
    "Release",
    "ReleaseFile",
    "ReleaseFileReview",
    "Requirement",
    "Role",
    "RoleAssignment",
    "RunGroup",
    "Schedule",
    "Snapshot",
    "UsageMonth",
    "User",
    "Webhook",
    "WorkLease",
    "Workspace",
]

"""The roles that a new site has. They are rows from then on: staff may change them and add their own."""

from dataclasses import dataclass
from typing import Literal

from carrel.jobserver.rights.permissions import Permission as P


@dataclass(frozen=True, slots=True)
class DefaultRole:
    """A role as it is shipped; `scope` as in `Role.RoleScope`."""

    name: str
    title: str
    description: str
    scope: Literal["global", "project", "either"]
    permissions: tuple[P, ...]


DEFAULT_ROLES = (
    DefaultRole(
        "ProjectDeveloper",
        "Project developer",
        "Writes the study: runs it, makes workspaces, opens released files, drafts publications.",
        "project",
        (
            P.JOB_RUN,
            P.JOB_CANCEL,
            P.PROJECT_MANAGE,
            P.RELEASE_FILE_VIEW,
            P.SNAPSHOT_CREATE,
            P.UNRELEASED_OUTPUTS_VIEW,
            P.WORKSPACE_ARCHIVE,
            P.WORKSPACE_CREATE,
            P.WORKSPACE_TOGGLE_NOTIFICATIONS,
            P.SCHEDULE_MANAGE,
        ),
    ),
    DefaultRole(
        "ProjectCollaborator",
        "Project collaborator",
        "Reads along: opens released files.",
        "either",
        (P.RELEASE_FILE_VIEW,),
    ),
    DefaultRole(
        "ProjectLead",
        "Project lead",
        "Answers for the project: its people, its description, what it uses.",
        "project",
        (P.PROJECT_MANAGE, P.PROJECT_MEMBERS_MANAGE, P.USAGE_VIEW, P.RELEASE_FILE_VIEW, P.WORKSPACE_ARCHIVE),
    ),
    DefaultRole(
        "OutputChecker",
        "Output checker",
        "Reviews outputs inside backends and releases them.",
        "global",
        (P.RELEASE_FILE_VIEW, P.RELEASE_FILE_UPLOAD, P.RELEASE_FILE_DELETE, P.UNRELEASED_OUTPUTS_VIEW),
    ),
    DefaultRole("OutputPublisher", "Output publisher", "Makes drafts public.", "global", (P.SNAPSHOT_PUBLISH,)),
    DefaultRole(
        "StaffAreaAdministrator",
        "Staff area administrator",
        "Runs the site: backends, organisations, people, alerts.",
        "global",
        (P.BACKEND_MANAGE, P.ORG_CREATE, P.USER_MANAGE, P.STAFF_AREA_ACCESS, P.ALERT_MANAGE, P.PROJECT_VIEW),
    ),
    DefaultRole(
        "TechSupport",
        "Technical support",
        "Helps projects: makes them, changes roles in them, opens released files.",
        "global",
        (P.RELEASE_FILE_VIEW, P.USER_EDIT_PROJECT_ROLES, P.PROJECT_CREATE, P.STAFF_AREA_ACCESS, P.PROJECT_VIEW),
    ),
    DefaultRole(
        "ServiceAdministrator",
        "Service administrator",
        "Makes projects and organisations, and gives people their roles in projects.",
        "global",
        (P.USER_EDIT_PROJECT_ROLES, P.ORG_CREATE, P.PROJECT_CREATE, P.STAFF_AREA_ACCESS, P.PROJECT_VIEW),
    ),
    DefaultRole(
        "DeploymentAdministrator",
        "Deployment administrator",
        "Runs and cancels jobs of every project, and looks at review sites without deciding.",
        "global",
        (P.JOB_RUN, P.JOB_CANCEL, P.AIRLOCK_READONLY_ACCESS, P.PROJECT_VIEW),
    ),
    DefaultRole(
        "GovernanceLead",
        "Governance lead",
        "Answers for who saw and released what: reads the audit log and all usage.",
        "global",
        (P.AUDIT_VIEW, P.USAGE_VIEW, P.PROJECT_VIEW, P.STAFF_AREA_ACCESS),
    ),
)

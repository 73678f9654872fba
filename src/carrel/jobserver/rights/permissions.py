"""Each thing that a role can permit, with the sentence that tells what it is. The first names are the contract's."""

from enum import StrEnum


class Permission(StrEnum):
    """What a role permits, in a project (of those marked so) or everywhere."""

    JOB_RUN = "job_run"
    JOB_CANCEL = "job_cancel"
    PROJECT_MANAGE = "project_manage"
    PROJECT_MEMBERS_MANAGE = "project_members_manage"
    PROJECT_VIEW = "project_view"
    RELEASE_FILE_VIEW = "release_file_view"
    RELEASE_FILE_UPLOAD = "release_file_upload"
    RELEASE_FILE_DELETE = "release_file_delete"
    SNAPSHOT_CREATE = "snapshot_create"
    SNAPSHOT_PUBLISH = "snapshot_publish"
    UNRELEASED_OUTPUTS_VIEW = "unreleased_outputs_view"
    WORKSPACE_ARCHIVE = "workspace_archive"
    WORKSPACE_CREATE = "workspace_create"
    WORKSPACE_TOGGLE_NOTIFICATIONS = "workspace_toggle_notifications"
    SCHEDULE_MANAGE = "schedule_manage"
    USAGE_VIEW = "usage_view"
    BACKEND_MANAGE = "backend_manage"
    ORG_CREATE = "org_create"
    PROJECT_CREATE = "project_create"
    USER_MANAGE = "user_manage"
    USER_EDIT_PROJECT_ROLES = "user_edit_project_roles"
    STAFF_AREA_ACCESS = "staff_area_access"
    AIRLOCK_READONLY_ACCESS = "airlock_readonly_access"
    ALERT_MANAGE = "alert_manage"
    AUDIT_VIEW = "audit_view"


WORDS: dict[Permission, str] = {
    Permission.JOB_RUN: "run actions",
    Permission.JOB_CANCEL: "cancel jobs",
    Permission.PROJECT_MANAGE: "change the project's description and settings",
    Permission.PROJECT_MEMBERS_MANAGE: "add and remove the project's people",
    Permission.PROJECT_VIEW: "see projects that are not in the public register",
    Permission.RELEASE_FILE_VIEW: "open released files",
    Permission.RELEASE_FILE_UPLOAD: "release files from a backend",
    Permission.RELEASE_FILE_DELETE: "delete released files",
    Permission.SNAPSHOT_CREATE: "draft a publication",
    Permission.SNAPSHOT_PUBLISH: "publish drafts",
    Permission.UNRELEASED_OUTPUTS_VIEW: "see unreleased outputs inside a backend",
    Permission.WORKSPACE_ARCHIVE: "archive workspaces",
    Permission.WORKSPACE_CREATE: "create workspaces",
    Permission.WORKSPACE_TOGGLE_NOTIFICATIONS: "choose when a workspace's people are told",
    Permission.SCHEDULE_MANAGE: "set up schedules",
    Permission.USAGE_VIEW: "see what projects and people use",
    Permission.BACKEND_MANAGE: "manage backends, their tokens, members and projects",
    Permission.ORG_CREATE: "manage organisations",
    Permission.PROJECT_CREATE: "create and change projects",
    Permission.USER_MANAGE: "manage people and their roles",
    Permission.USER_EDIT_PROJECT_ROLES: "change people's roles in any project",
    Permission.STAFF_AREA_ACCESS: "enter the staff area",
    Permission.AIRLOCK_READONLY_ACCESS: "look at the review site of a backend without deciding",
    Permission.ALERT_MANAGE: "put alerts on every page",
    Permission.AUDIT_VIEW: "read and export the audit log",
}
"""Ends the sentence "You may ..."."""

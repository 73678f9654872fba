"""What can go wrong with an attempt: two families, never mixed (DESIGN section 4, rule 6).

`UserError` ends the job with a message for its log. `InfrastructureFault` says nothing of the study: the controller
tries again. What the controller learns of a fault is `kind`, one word of `results.ErrorKind`, and never its text.
"""


class UserError(Exception):
    """The study's own: a bad commit, a file that cannot be stored. The text goes to the log on the secure side."""


class InfrastructureFault(Exception):
    """Ours: disk, runtime, network. `kind` is from the fixed list in `results.ErrorKind`."""

    kind = "internal_error"

    def __init__(self, message: str = "", *, kind: str | None = None) -> None:
        super().__init__(message)
        if kind is not None:
            self.kind = kind


class InputMissing(InfrastructureFault):
    """An output of a needed action is not in the store. `action` is the needed action's name, where it is known."""

    kind = "input_missing"

    def __init__(self, message: str, action: str | None) -> None:
        super().__init__(message)
        self.action = action


class WorkspaceArchived(InfrastructureFault):
    kind = "workspace_archived"

    def __init__(self, workspace: str) -> None:
        super().__init__(f"Workspace {workspace} has been archived. Contact the OpenSAFELY tech team to resolve")


class SettingsError(Exception):
    """The agent cannot start as it is configured; the text says what to change."""

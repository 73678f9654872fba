"""Why a run cannot begin, in the contract's words (local-run.md section 4, "golden exit codes"). Pure."""

import json

from carrel.jobs.plan import PlanError, UnknownAction
from carrel.local.errors import LocalError
from carrel.local.report import action_names, problem
from carrel.project import ProjectValidationError


def explain(error: Exception, as_json: bool) -> str:
    """What to print for an error that stopped a run before its first action, as text or as one JSON object."""
    kind, message = _kind_and_message(error)
    if as_json:
        return json.dumps({"type": "error", "kind": kind, "message": message, "exit_code": 1})
    return problem(kind, message) if kind else message


def _kind_and_message(error: Exception) -> tuple[str, str]:
    if isinstance(error, UnknownAction):
        return "UnknownActionError", f"{error}\n\n{action_names(error.known)}"
    if isinstance(error, ProjectValidationError):
        problems = "\n".join(map(str, error.problems)) or str(error)
        return "ProjectValidationError", f"Errors in project file - {problems}"
    if isinstance(error, PlanError):
        return type(error).__name__, str(error)
    return "" if isinstance(error, LocalError) else type(error).__name__, str(error)

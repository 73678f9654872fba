"""The one write door of the controller: every change of state goes through a function of this package.

Each change is one transaction: the row, its event, and whatever must follow from it (`scheduling.run` under the
backend's lock). Call these outside any transaction of your own; no git, registry or network work happens inside.
"""

from carrel.controller.service.queries import latest_jobs, rap_jobs, rap_status_jobs
from carrel.controller.service.requests import (
    ActionsNotFound,
    InconsistentRap,
    NewJob,
    RapFields,
    RapNotFound,
    cancel_actions,
    create_jobs,
    open_rap,
    record_rap_outcome,
)
from carrel.controller.service.tokens import agent_token_is_valid, backends_of_client_token

__all__ = [
    "ActionsNotFound",
    "InconsistentRap",
    "NewJob",
    "RapFields",
    "RapNotFound",
    "agent_token_is_valid",
    "backends_of_client_token",
    "cancel_actions",
    "create_jobs",
    "latest_jobs",
    "open_rap",
    "rap_jobs",
    "rap_status_jobs",
    "record_rap_outcome",
]

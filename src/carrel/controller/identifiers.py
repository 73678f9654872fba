"""Ids of tasks (spec: controller.md section 2.1)."""

import secrets
from datetime import date


def runjob_task_id(job: str, attempt: int) -> str:
    """`{job_id}-{NNN}`, counting from 1."""
    return f"{job}-{attempt:03}"


def cancel_task_id(runjob_id: str) -> str:
    return f"{runjob_id}-cancel"


def scheduled_task_id(task_type: str, day: date) -> str:
    """`{type}-{YYYY-MM-DD}-{20 hex}`."""
    return f"{task_type}-{day:%Y-%m-%d}-{secrets.token_hex(10)}"

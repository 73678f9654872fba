"""Ids of jobs and tasks (spec: controller.md section 2.1)."""

import base64
import hashlib
import re
import secrets
from datetime import date

RAP_ID = re.compile(r"[a-z0-9]{16}")


def job_id(rap_id: str, action: str) -> str:
    """16 characters: lower case base32 of the first 10 bytes of sha1("rap_id\\naction")."""
    digest = hashlib.sha1(f"{rap_id}\n{action}".encode(), usedforsecurity=False).digest()
    return base64.b32encode(digest[:10]).decode("ascii").lower()


def runjob_task_id(job: str, attempt: int) -> str:
    """`{job_id}-{NNN}`, counting from 1."""
    return f"{job}-{attempt:03}"


def cancel_task_id(runjob_id: str) -> str:
    return f"{runjob_id}-cancel"


def scheduled_task_id(task_type: str, day: date) -> str:
    """`{type}-{YYYY-MM-DD}-{20 hex}`."""
    return f"{task_type}-{day:%Y-%m-%d}-{secrets.token_hex(10)}"

"""Ids that follow from what a job is, the same wherever they are made (spec: controller.md section 2.1)."""

import base64
import hashlib


def job_id(request_id: str, action: str) -> str:
    """16 characters: lower case base32 of the first 10 bytes of sha1("request_id\\naction")."""
    digest = hashlib.sha1(f"{request_id}\n{action}".encode(), usedforsecurity=False).digest()
    return base64.b32encode(digest[:10]).decode("ascii").lower()

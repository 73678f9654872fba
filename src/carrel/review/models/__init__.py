"""Tables of the review site. Rows change only through `carrel.review.service`.

Times are timezone-aware UTC. Bytes are never in the database: copies of files are named by their SHA-256
(`carrel.review.copies`).
"""

from carrel.review.models.audit import AuditAnchor, AuditEvent
from carrel.review.models.findings import DisclosureCheck, FileFinding
from carrel.review.models.people import Account, LevelGrant
from carrel.review.models.requests import (
    Comment,
    FileGroup,
    FileVote,
    ReleaseRequest,
    RequestClaim,
    RequestFile,
    SubmittedReview,
)
from carrel.review.models.sending import ReviewLease, ReviewNotice

__all__ = [
    "Account",
    "AuditAnchor",
    "AuditEvent",
    "Comment",
    "DisclosureCheck",
    "FileFinding",
    "FileGroup",
    "FileVote",
    "LevelGrant",
    "ReleaseRequest",
    "RequestClaim",
    "RequestFile",
    "ReviewLease",
    "ReviewNotice",
    "SubmittedReview",
]

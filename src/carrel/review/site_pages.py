"""All pages of the review site."""

from carrel.review.access import ReviewPage
from carrel.review.views import (
    code,
    comparisons,
    file_bytes,
    files,
    groups,
    home,
    moves,
    proofs,
    redactions,
    remarks,
    requests,
    sign_in,
    workspace_files,
    workspaces,
)

PAGES: list[ReviewPage] = [
    *home.PAGES,
    *sign_in.PAGES,
    *workspaces.PAGES,
    *workspace_files.PAGES,
    *requests.PAGES,
    *moves.PAGES,
    *groups.PAGES,
    *remarks.PAGES,
    *files.PAGES,
    *file_bytes.PAGES,
    *comparisons.PAGES,
    *redactions.PAGES,
    *code.PAGES,
    *proofs.PAGES,
]

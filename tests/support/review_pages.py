"""Every page of the review site's showcase: a name, an address, and who looks at it."""

from tests.support.review_showcase import ReviewShowcase


def review_pages(showcase: ReviewShowcase) -> list[tuple[str, str, str]]:
    """Names, addresses and usernames of pages that are only looked at."""
    request, model = f"/requests/{showcase.request.pk}", "output/model.csv"
    tabs = {
        "compare": "compare",
        "findings": "findings",
        "file-history": "history",
        "backends": "backends",
        "code": "code",
    }
    return [
        ("review-queue", "/", "sam"),
        ("review-returned", "/?list=returned", "sam"),
        ("review-uploading", "/?list=uploading", "sam"),
        ("review-own-requests", "/", "ann"),
        ("review-workspaces", "/workspaces/", "ann"),
        ("review-all-workspaces", "/workspaces/", "sam"),
        ("review-workspace", "/workspaces/visits-by-plan/", "ann"),
        ("review-workspace-folder", "/workspaces/visits-by-plan/?folder=output&outdated=hide", "ann"),
        ("review-workspace-requests", "/workspaces/visits-by-plan/requests/", "ann"),
        ("review-workspace-file", f"/workspaces/visits-by-plan/files/{model}", "ann"),
        ("review-workspace-stub", "/workspaces/visits-by-plan/files/output/raw.csv.txt", "ann"),
        ("review-request", f"{request}/", "sam"),
        ("review-request-author", f"{request}/", "ann"),
        ("review-request-finished", f"/requests/{showcase.finished.pk}/", "sam"),
        ("review-request-prepared", f"/requests/{showcase.own.pk}/", "ann"),
        ("review-history", f"{request}/history/", "sam"),
        ("review-group", f"{request}/groups/tables/", "sam"),
        ("review-group-form", f"/requests/{showcase.own.pk}/groups/tables/", "ann"),
        ("review-file", f"{request}/files/{model}", "sam"),
        ("review-file-author", f"{request}/files/{model}", "ann"),
        ("review-file-cell", f"{request}/files/{model}?line=8&column=people", "sam"),
        ("review-file-text", f"{request}/files/{model}?as=text", "sam"),
        ("review-file-image", f"{request}/files/output/visits.svg", "sam"),
        ("review-file-log", f"{request}/files/logs/model.log", "sam"),
        *((f"review-file-{name}", f"{request}/{part}/{model}", "sam") for part, name in tabs.items()),
        ("review-file-redact", f"/requests/{showcase.own.pk}/redact/output/air.csv", "ann"),
        ("review-submit", f"/requests/{showcase.own.pk}/submit/", "ann"),
        ("review-withdraw", f"/requests/{showcase.own.pk}/withdraw/", "ann"),
        ("review-return-early", f"{request}/return-early/", "sam"),
        ("review-approve", f"/requests/{showcase.finished.pk}/approve/", "sam"),
    ]

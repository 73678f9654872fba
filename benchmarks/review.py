"""The review site with 10,000 requests in the queue: what its pages ask. Run: `python -m benchmarks.review`.

Processor time, median of several, on a database that is made for the run. The floor is one request read by its key.
Target (issue 10): a queue of 10,000 requests under 100 ms; all that a request of 200 files holds, under half of its
page's 300 ms.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import Figure, median_seconds

REQUESTS = 10_000
FILES = 5
LARGE = 200
QUEUE_TARGET = 0.1
REQUEST_TARGET = 0.15


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="carrel-bench-review-") as folder:
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "carrel.web.settings",
            "CARREL_APPS": "review",
            "WORKDIR": folder,
            "CARREL_DATABASE_URL": f"sqlite:///{folder}/db.sqlite",
            "MEDIUM_PRIVACY_STORAGE_BASE": str(Path(folder) / "medium"),
        }
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        return measured()


def measured() -> int:
    """Fill the database, print each figure, and return the exit code."""
    from django.utils import timezone

    from carrel.review.models import ReleaseRequest
    from carrel.review.queries.contents import contents_of
    from carrel.review.queries.missing import missing
    from carrel.review.queries.queue import QueueSection, review_queue
    from carrel.review.queries.visible import verdict
    from carrel.review.viewers import Viewer

    now = timezone.now()
    large = fill(now)
    viewer = Viewer(username="bob", fullname="Bob", is_checker=True, levels=frozenset({4}))
    request = ReleaseRequest.objects.get(pk=large)

    def whole() -> None:
        contents = contents_of(request)
        missing(request, viewer, contents)
        for file in contents.files:
            verdict(viewer, contents, file)

    first = median_seconds(lambda: review_queue(viewer, now))
    floor = median_seconds(lambda: ReleaseRequest.objects.get(pk=large))
    figures = [
        Figure(f"queue of {REQUESTS:,}, first page", first, floor, QUEUE_TARGET),
        Figure("its last page", median_seconds(lambda: review_queue(viewer, now, page=10**6)), floor, QUEUE_TARGET),
        Figure(
            "what was returned",
            median_seconds(lambda: review_queue(viewer, now, QueueSection.RETURNED)),
            floor,
            QUEUE_TARGET,
        ),
        Figure(f"a request of {LARGE} files, all of it", median_seconds(whole), floor, REQUEST_TARGET),
    ]
    for figure in figures:
        print(figure)
    return 0 if all(figure.good for figure in figures) else 1


def fill(now: Any) -> str:
    """Make the requests, 5 files and 5 votes in each; return the key of one with 200 files."""
    from datetime import timedelta

    from django.db import transaction

    from carrel.review.models import Account, FileGroup, FileVote, ReleaseRequest, RequestFile, SubmittedReview

    names = ("ann", "bob", "cat")
    Account.objects.bulk_create(Account(username=name, fullname=name, source="local") for name in names)
    requests = [
        ReleaseRequest(
            backend="north",
            workspace=f"workspace-{number % 100}",
            author_id="ann",
            status=("SUBMITTED", "PARTIALLY_REVIEWED", "REVIEWED", "RETURNED")[number % 4],
            turn=1,
            submitted_at=now - timedelta(minutes=number),
        )
        for number in range(REQUESTS)
    ]
    with transaction.atomic():
        ReleaseRequest.objects.bulk_create(requests, batch_size=1000)
        groups = [FileGroup(request=request, name="tables", context="C.", controls="R.") for request in requests]
        FileGroup.objects.bulk_create(groups, batch_size=1000)
        files = [
            RequestFile(
                request=group.request,
                group=group,
                path=f"output/{number}.csv",
                sha256=f"{number:064x}",
                size=1,
                modified_at=now,
            )
            for group in groups
            for number in range(LARGE if group is groups[0] else FILES)
        ]
        RequestFile.objects.bulk_create(files, batch_size=1000)
        FileVote.objects.bulk_create(
            (FileVote(file=file, checker_id="bob", vote="APPROVED", turn=1, sha256=file.sha256) for file in files),
            batch_size=1000,
        )
        SubmittedReview.objects.bulk_create(
            (SubmittedReview(request=request, checker_id="cat", turn=1) for request in requests), batch_size=1000
        )
    return requests[0].pk


if __name__ == "__main__":
    sys.exit(main())

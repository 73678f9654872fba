"""Whole pages of the review site, by their largest sizes. Run: `python -m benchmarks.review_pages`.

Processor time through Django's own request handling, median of several, on a database that is made for the run. The
floor is the same site's page that asks least. Targets (issue 10): a queue of 10,000 requests 100 ms; a request of 200
files, and a table of 5,000 rows, 300 ms each; and 150 kB (pages.md section 4).
"""

import hashlib
import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import Figure, median_seconds
from benchmarks.review import LARGE, QUEUE_TARGET, REQUESTS, fill

PAGE_TARGET = 0.3
MAX_KILOBYTES = 150
ROWS, COLUMNS, WIDE_COLUMNS = 5_000, 12, 50


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="carrel-bench-review-") as folder:
        medium = Path(folder) / "medium"
        (medium / "workspaces").mkdir(parents=True)
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "carrel.web.settings",
            "CARREL_APPS": "review",
            "WORKDIR": folder,
            "CARREL_DATABASE_URL": f"sqlite:///{folder}/db.sqlite",
            "MEDIUM_PRIVACY_STORAGE_BASE": str(medium),
            "BACKEND": "north",
        }
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        return measured(medium)


def measured(medium: Path) -> int:
    """Fill the database, print each figure with its page's size, and return the exit code."""
    from django.utils import timezone

    from carrel.review.models import ReleaseRequest

    request = ReleaseRequest.objects.get(pk=fill(timezone.now()))
    put_table(request, medium, "output/0.csv", COLUMNS)
    put_table(request, medium, "output/1.csv", WIDE_COLUMNS)
    client = signed_in()
    floor = median_seconds(lambda: client.get("/workspaces/"))
    base, missed = f"/requests/{request.pk}", 0
    for name, path, target in (
        (f"the queue of {REQUESTS:,}", "/", QUEUE_TARGET),
        (f"a request of {LARGE} files", f"{base}/", PAGE_TARGET),
        ("its group", f"{base}/groups/tables/", PAGE_TARGET),
        ("its history", f"{base}/history/", PAGE_TARGET),
        (f"a table of {ROWS:,} rows, {COLUMNS} columns", f"{base}/files/output/0.csv", PAGE_TARGET),
        ("the same, sorted and searched", f"{base}/files/output/0.csv?sort=-3&find=7", PAGE_TARGET),
        (f"a table of {ROWS:,} rows, {WIDE_COLUMNS} columns", f"{base}/files/output/1.csv", PAGE_TARGET),
        ("its findings", f"{base}/findings/output/0.csv", PAGE_TARGET),
    ):
        answer = client.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        figure = Figure(name, median_seconds(partial(client.get, path)), floor, target)
        kilobytes = len(answer.content) / 1000
        missed += not figure.good or kilobytes > MAX_KILOBYTES
        print(f"{figure}   {kilobytes:.0f} kB")
    return 1 if missed else 0


def put_table(request: Any, medium: Path, path: str, columns: int) -> None:
    """Give a file of the request a table's bytes."""
    header = ",".join(f"column_{number}" for number in range(columns))
    rows = "\n".join(",".join(str(5 * (row + column)) for column in range(columns)) for row in range(ROWS))
    data = f"{header}\n{rows}\n".encode()
    sha256 = hashlib.sha256(data).hexdigest()
    folder = medium / "requests" / request.workspace / request.pk
    folder.mkdir(parents=True, exist_ok=True)
    (folder / sha256).write_bytes(data)
    request.files.filter(path=path).update(sha256=sha256, size=len(data))


def signed_in() -> Any:
    """Return a browser of an output checker's."""
    from django.test import Client
    from django.utils import timezone

    from carrel.review.accounts import SESSION_KEY
    from carrel.review.models import Account, LevelGrant

    person = {"username": "bob", "fullname": "Bob", "workspaces": {}, "copiloted_workspaces": {}}
    authorisation = person | {"output_checker": True, "readonly_access": False}
    Account.objects.filter(pk="bob").update(authorisation=authorisation, authorised_at=timezone.now())
    LevelGrant.objects.create(account_id="bob", backend="north", level=4, granted_by="benchmark")
    client = Client(SERVER_NAME="127.0.0.1")
    session = client.session
    session[SESSION_KEY] = "bob"
    session.save()
    return client


if __name__ == "__main__":
    sys.exit(main())

"""A review site as processes of their own: killed while a file is added, and checkers who act at the same instant.

`prepare`, `add`, `verify` and `race` are called in a child by `tests.support.forked`; what is wrong is raised there.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

import django

os.environ.update(CARREL_APPS="review", DJANGO_SETTINGS_MODULE="carrel.web.settings")
django.setup()  # before the fork, so that a run is as quick as its own work; the database is each child's own

DATA = b"plan,visits\na,120\n"
PATH = "output/visits.csv"


def _begin(environ: Mapping[str, str]) -> None:
    from tests.support.databases import Database, point_django_at

    from carrel.review import settings

    os.environ.update(environ)
    settings.get.cache_clear()
    point_django_at(Database(environ["CARREL_DATABASE_URL"], ""))


def prepare(environ: Mapping[str, str]) -> None:
    """A migrated database, people, a workspace, and a request without files."""
    _begin(environ)
    from django.core.management import call_command
    from tests.support.review import WORKSPACE, add_account, add_outputs, viewer_for

    from carrel.review.service import requests

    call_command("migrate", verbosity=0)
    author = viewer_for(add_account("ann", WORKSPACE))
    for name in ("bob", "cat", "dan"):
        add_account(name, is_checker=True)
    add_outputs({PATH: DATA})
    requests.create(author, WORKSPACE)


def add(environ: Mapping[str, str]) -> None:
    """Add the file to the request."""
    _begin(environ)
    from tests.support.review import viewer_for

    from carrel.review.models import Account, ReleaseRequest
    from carrel.review.service import files

    files.add(viewer_for(Account.objects.get(pk="ann")), ReleaseRequest.objects.get(), PATH)


def verify(environ: Mapping[str, str]) -> None:
    """After a kill: each copy is whole, each row has its copy and its event, and adding again ends well."""
    _begin(environ)
    from tests.support.review import viewer_for

    from carrel.review import copies
    from carrel.review.models import Account, AuditEvent, ReleaseRequest
    from carrel.review.rules import ActRefused
    from carrel.review.service import files

    request = ReleaseRequest.objects.get()
    folder = copies.folder_of(request.workspace, request.pk)
    for path in folder.glob("[!.]*") if folder.exists() else ():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    is_there = request.files.exists()
    assert AuditEvent.objects.filter(event_type="REQUEST_FILE_ADD").count() == request.files.count()
    try:
        files.add(viewer_for(Account.objects.get(pk="ann")), request, PATH)
    except ActRefused:
        assert is_there
    (file,) = request.files.all()
    with copies.opened(request.workspace, request.pk, file.sha256) as stream:
        assert stream.read() == DATA
    assert file.checks.count() == 1


def race(environ: Mapping[str, str], rounds: int) -> None:
    """Checkers act at the same instant, many times: nothing is lost, and only one of two decisions holds."""
    prepare(environ)
    from django.db import connection
    from tests.support.review import WORKSPACE, viewer_for

    from carrel.review.chain import first_fault
    from carrel.review.decisions import Vote
    from carrel.review.models import Account, AuditEvent, FileVote
    from carrel.review.service import comments, files, groups, requests, votes
    from carrel.review.service.audit import as_json

    assert connection.vendor == "postgresql"
    people = {account.pk: viewer_for(account) for account in Account.objects.all()}
    for number in range(rounds):
        request = requests.create(people["ann"], WORKSPACE)
        file = files.add(people["ann"], request, PATH)
        groups.describe(people["ann"], request, "default", context="C.", controls="R.")
        requests.submit(people["ann"], request)

        def review(name: str, request: Any = request, file: Any = file) -> None:
            votes.vote(people[name], file, Vote.APPROVED, sha256=file.sha256)
            votes.submit_review(people[name], request)

        names = ("bob", "cat", "dan")[: 2 + number % 2]
        problems = _at_once(*(lambda name=name: review(name) for name in names))
        request.refresh_from_db()
        assert problems == [], problems
        assert (request.status, request.reviews.count()) == ("REVIEWED", len(names))
        assert FileVote.objects.filter(file=file, vote=Vote.APPROVED).count() == len(names)
        comments.comment(people["bob"], request, "Enough.", is_public=True, group=file.group)
        problems = _at_once(
            lambda request=request: requests.approve(people["bob"], request),
            lambda request=request: requests.reject(people["cat"], request),
        )
        request.refresh_from_db()
        assert len(problems) == 1, problems
        assert request.status in ("APPROVED", "REJECTED")
        assert (request.status == "APPROVED") == request.files.exclude(released_at=None).exists()
        if request.status == "APPROVED":
            request.files.update(released_at=None)  # so that the next round may ask for the same bytes
        request.status = "WITHDRAWN"
        request.save()
    assert first_fault(map(as_json, AuditEvent.objects.order_by("number"))) == ""


def _at_once(*acts: Callable[[], Any]) -> list[Exception]:
    """Do several things in threads that start together; return what was raised."""
    from django.db import connection

    together, problems = threading.Barrier(len(acts)), []

    def run(act: Callable[[], Any]) -> None:
        together.wait()
        try:
            act()
        except Exception as error:
            problems.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return problems

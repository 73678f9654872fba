"""The status page: a card for each backend that one may know of, live, and as JSON."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from tests.support.jobserver import (
    add_backend,
    add_job,
    add_person,
    add_project,
    add_request,
    add_run,
    add_workspace,
    browse,
)

from carrel.jobserver.backend_standing import hour_spans, standing_of
from carrel.jobserver.models import Backend, BackendHour
from carrel.jobserver.service.backend_states import record_states
from carrel.pages.charts import StateSpan
from carrel.pages.frame import BackendState

NOON = datetime(2026, 5, 3, 12, tzinfo=UTC)


def backend_of(**fields: object) -> Backend:
    return Backend(**{"slug": "north", "name": "north", "last_seen_at": NOON, **fields})


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({}, "Up"),
        ({"is_active": False}, "Switched off"),
        ({"last_seen_at": None}, "Not heard of yet"),
        ({"last_seen_at": NOON - timedelta(seconds=301), "is_paused": True}, "Missing"),
        ({"is_paused": True}, "Paused"),
        ({"is_paused": True, "in_maintenance": True}, "Maintenance"),
    ],
)
def test_how_a_backend_stands(fields: dict[str, object], word: str) -> None:
    assert standing_of(backend_of(**fields), NOON).word == word


@pytest.mark.django_db
def test_a_clock_that_is_ahead_leaves_no_dead_backend_up() -> None:
    """Its controller has told of a time to come and then no more: an hour later the backend is missing."""
    backend, now = add_backend("north"), timezone.now()
    ahead = f"{now + timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}"
    state = {"slug": "north", "last_seen": ahead, "paused": {"status": "off", "since": None}}
    maintenance = {"status": "off", "since": None, "type": None}
    record_states("default", [{**state, "db_maintenance": maintenance}])
    backend.refresh_from_db()
    assert backend.status_at is not None
    assert standing_of(backend, now).word == "Up"
    assert standing_of(backend, now + timedelta(hours=1)).word == "Missing"


def hour(at: datetime, **counts: int) -> BackendHour:
    return BackendHour(hour=at, **{"asked": sum(counts.values()), **counts})


def test_hours_become_stretches_of_one_state() -> None:
    hours = [
        hour(NOON - timedelta(hours=4), up=200),
        hour(NOON - timedelta(hours=3), up=150, paused=50),
        # Nothing is known of the next one: nobody asked.
        hour(NOON - timedelta(hours=2)),
        hour(NOON - timedelta(hours=1), asked=10, up=5),
        hour(NOON, maintenance=3, up=1),
    ]
    later = NOON + timedelta(minutes=20)
    assert hour_spans(hours, later) == [
        StateSpan(NOON - timedelta(hours=4), NOON - timedelta(hours=2), BackendState.UP),
        StateSpan(NOON - timedelta(hours=1), NOON, BackendState.MISSING),
        StateSpan(NOON, later, BackendState.MAINTENANCE),
    ]


@pytest.mark.django_db
class TestPage:
    def test_a_card_tells_what_runs_and_waits(self) -> None:
        north = add_backend("north", details={"agent version": "1.2", "disk": "40 % free"})
        person = add_person("ann")
        run = add_run(add_workspace(add_project("alpha", north)), person)
        request = add_request(run, north)
        add_job(request, "a", "running")
        add_job(request, "b", "pending")
        add_job(request, "c", "pending")
        [card] = browse(person).get("/status/?format=json").json()["backends"]
        assert (card["state"], card["running"], card["waiting"]) == ("up", 1, 2)
        assert card["details"] == {"agent version": "1.2", "disk": "40 % free"}
        page = browse(person).get("/status/").content.decode()
        assert "40 % free" in page
        assert "The backend is up." in page

    def test_a_stranger_learns_nothing_of_hidden_backends_nor_of_machines(self) -> None:
        add_backend("north", details={"disk": "40 % free"})
        add_backend("west", is_listed=False)
        for path in ("/status/", "/status/?format=json", "/status/?live=1"):
            page = browse().get(path).content.decode()
            assert "north" in page
            assert "west" not in page
            assert "40 % free" not in page

    def test_parts_are_sent_once_for_each_state(self) -> None:
        add_backend("north")
        client = browse()
        answer = client.get("/status/?live=1")
        assert answer.status_code == 200
        assert b'id="cards"' in answer.content
        again = client.get("/status/?live=1", headers={"if-none-match": answer["ETag"]})
        # The minute is part of it, since “12 minutes ago” ages.
        assert again.status_code == 304 or again["ETag"] != answer["ETag"]

    def test_without_any_backend(self) -> None:
        assert "New backends are hidden" in browse().get("/status/").content.decode()
        staff = add_person("sam", "StaffAreaAdministrator")
        assert "/staff/backends/new/" in browse(staff).get("/status/").content.decode()

    def test_questions_do_not_grow_with_backends(self, django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]  # pytest-django's
        for number in range(6):
            backend = add_backend(f"b{number}")
            BackendHour.objects.create(backend=backend, hour=timezone.now() - timedelta(hours=1), asked=4, up=4)
        with django_assert_max_num_queries(6):
            browse().get("/status/")

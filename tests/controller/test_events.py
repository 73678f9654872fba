import pytest
from django.db import DatabaseError, connection, transaction

from carrel.controller.models import AppendOnlyError, Event
from carrel.controller.service import events

pytestmark = pytest.mark.usefixtures("database")


def test_an_event_cannot_be_changed_through_the_model():
    event = events.record("flag.set", "admin:me", backend="test", flag="paused")
    event.kind = "other"
    with pytest.raises(AppendOnlyError):
        event.save()
    with pytest.raises(AppendOnlyError):
        event.delete()
    with pytest.raises(AppendOnlyError):
        Event.objects.filter(pk=event.pk).update(kind="other")
    with pytest.raises(AppendOnlyError):
        Event.objects.all().delete()
    assert Event.objects.get().kind == "flag.set"


@pytest.mark.parametrize("sql", ["UPDATE controller_event SET kind = 'other'", "DELETE FROM controller_event"])
def test_the_database_refuses_it_too(sql):
    events.record("flag.set", "admin:me", backend="test", flag="paused")
    with pytest.raises(DatabaseError, match="append only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    assert Event.objects.get().kind == "flag.set"

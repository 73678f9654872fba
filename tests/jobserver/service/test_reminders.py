"""Reminders of a project's end: each once, the nearest one only, to those who lead it."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone
from tests.support.jobserver import add_person, add_project

from carrel.jobserver.models import OutgoingMessage, UsageMonth
from carrel.jobserver.service import housekeeping
from carrel.jobserver.service.reminders import due_step, write_reminders

NOW = datetime(2026, 12, 1, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("remaining", "step"), [(31, None), (30, 30), (8, 30), (7, 7), (2, 7), (1, 1), (0, 1), (-1, None)]
)
def test_the_nearest_reminder_is_due(remaining: int, step: int | None) -> None:
    today = date(2026, 12, 1)
    assert due_step(today + timedelta(days=remaining), today) == step


@pytest.mark.django_db
class TestMails:
    @pytest.fixture(autouse=True)
    def mail(self, settings: LazySettings) -> None:
        settings.EMAIL_HOST = "mail.example.org"

    def test_leads_are_told_once_at_each_step(self) -> None:
        project = add_project("alpha", ends_on=date(2026, 12, 31))
        add_person("ann", "ProjectLead", project=project)
        add_person("bob", "ProjectDeveloper", project=project)
        assert write_reminders(NOW) == 1
        assert write_reminders(NOW + timedelta(hours=5)) == 0
        assert write_reminders(NOW + timedelta(days=24)) == 1
        [first, second] = OutgoingMessage.objects.order_by("id")
        assert first.recipient.username == "ann"
        assert "ends in 30 days, on 31 December 2026" in first.body
        assert "/alpha/" in second.body

    def test_everybody_is_told_where_nobody_leads(self) -> None:
        project = add_project("alpha", ends_on=date(2026, 12, 1))
        for name in ("ann", "bob"):
            add_person(name, "ProjectDeveloper", project=project)
        add_person("eve", project=project, email=None)
        assert write_reminders(NOW) == 2
        assert "ends today" in OutgoingMessage.objects.first().body

    def test_a_new_end_is_reminded_of_anew(self) -> None:
        project = add_project("alpha", ends_on=date(2026, 12, 5))
        add_person("ann", "ProjectLead", project=project)
        write_reminders(NOW)
        project.ends_on = date(2026, 12, 6)
        project.save()
        assert write_reminders(NOW) == 1

    def test_without_mail_or_end_nothing_is_written(self, settings: LazySettings) -> None:
        add_person("ann", "ProjectLead", project=add_project("alpha"))
        assert write_reminders(NOW) == 0
        add_person("bob", "ProjectLead", project=add_project("beta", ends_on=date(2026, 12, 5)))
        settings.EMAIL_HOST = ""
        assert write_reminders(NOW) == 0

    def test_housekeeping_does_all_of_it_and_survives_what_fails(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        add_person("ann", "ProjectLead", project=add_project("alpha", ends_on=timezone.now().date()))
        housekeeping.tidy_up()
        assert OutgoingMessage.objects.count() == 1
        monkeypatch.setattr(housekeeping.reminders, "write_reminders", lambda now: 1 // 0)
        housekeeping.tidy_up()
        assert "A piece of housekeeping failed" in caplog.text
        assert not UsageMonth.objects.exists()

"""Mail and webhook calls to real receivers: sent once, tried again, given up; the mail of the day."""

import hashlib
import hmac
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from django.utils import timezone
from tests.jobserver.service.test_jobs import new_request, report
from tests.support.jobserver import START, add_person, add_project, add_run, add_workspace
from tests.support.receivers import Calls, Mailbox, mail_server, webhook_receiver

from carrel.jobserver import settings as own_settings
from carrel.jobserver.models import OutgoingMessage, RunGroup, User, Webhook
from carrel.jobserver.service import digests, outbox
from carrel.jobserver.service.jobs import record_jobs
from carrel.jobserver.service.webhooks import add_webhook, remove_webhook, try_webhook

pytestmark = pytest.mark.django_db


@pytest.fixture
def mailbox(settings) -> Iterator[Mailbox]:
    with mail_server() as box:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", box.port
        settings.DEFAULT_FROM_EMAIL = "Carrel <carrel@example.org>"
        yield box


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    monkeypatch.setenv("WEBHOOK_HOSTS", "127.0.0.1")
    own_settings.get.cache_clear()
    with webhook_receiver() as receiver:
        yield receiver
    own_settings.get.cache_clear()


def send_due() -> None:
    OutgoingMessage.objects.filter(sent_at=None).update(send_after=None)
    for message in outbox.due_messages():
        outbox.send_message(message.pk)


class TestMail:
    def test_of_a_run_that_ended(self, mailbox: Mailbox) -> None:
        request = new_request()
        record_jobs(request, [report(request, "a", "failed"), report(request, "b", "succeeded")], complete=True)
        send_due()
        send_due()
        (mail,) = mailbox.messages
        run = request.run
        assert mail["Subject"] == f"Failed: run {run.pk} of {run.workspace.name}"
        assert mail["To"] == request.created_by.email
        text = mail.get_content()
        assert f"{request.backend.name}: Failed, 1 of 2 jobs succeeded" in text
        assert f"/{run.workspace.name}/{run.pk}/" in text
        assert OutgoingMessage.objects.get().sent_at is not None

    def test_it_waits_for_a_server_that_is_away(self, mailbox: Mailbox, settings) -> None:
        request = new_request()
        record_jobs(request, [report(request, "a", "failed")], complete=True)
        settings.EMAIL_PORT = 1
        send_due()
        message = OutgoingMessage.objects.get()
        assert (message.sent_at, message.given_up_at, message.send_attempts) == (None, None, 1)
        assert "the mail server does not take it" in message.error
        assert outbox.due_messages() == []  # not before its pause is over
        settings.EMAIL_PORT = mailbox.port
        send_due()
        assert len(mailbox.messages) == 1

    def test_an_address_that_is_refused_is_given_up(self, mailbox: Mailbox) -> None:
        request = new_request()
        record_jobs(request, [report(request, "a", "failed")], complete=True)
        mailbox.refusals = ["450 busy", "550 no such mailbox"]
        send_due()
        assert OutgoingMessage.objects.get().given_up_at is None
        send_due()
        message = OutgoingMessage.objects.get()
        assert message.given_up_at is not None
        assert message.error == "the mail server refuses the address"

    def test_after_three_days_it_is_given_up(self, mailbox: Mailbox, settings) -> None:
        settings.EMAIL_PORT = 1
        request = new_request()
        record_jobs(request, [report(request, "a", "failed")], complete=True)
        OutgoingMessage.objects.update(created_at=timezone.now() - timedelta(days=4))
        send_due()
        assert OutgoingMessage.objects.get().given_up_at is not None

    def test_without_a_mail_server_nothing_is_written(self, settings) -> None:
        settings.EMAIL_HOST = ""
        request = new_request()
        record_jobs(request, [report(request, "a", "failed")], complete=True)
        assert not OutgoingMessage.objects.exists()
        assert outbox.due_messages() == []

    def test_every_attempt_has_the_same_id(self, mailbox: Mailbox) -> None:
        request = new_request()
        record_jobs(request, [report(request, "a", "failed")], complete=True)
        send_due()
        OutgoingMessage.objects.update(sent_at=None)  # as after a kill between sending and marking
        send_due()
        one, other = mailbox.messages
        assert one["Message-ID"] == other["Message-ID"]
        assert one["Message-ID"].endswith("@example.org>")

    def test_another_message_of_the_same_name_has_another_id(self) -> None:
        """Where yesterday's database was restored, numbers of runs come again; receivers drop what they had before."""
        messages = [
            OutgoingMessage(key="webhook:1:run.ended:7", created_at=START + timedelta(days=day)) for day in (0, 1)
        ]
        assert len({outbox.delivery_id(message) for message in messages}) == 2

    def test_a_name_with_a_line_end_adds_no_header(self, mailbox: Mailbox) -> None:
        OutgoingMessage.objects.create(
            channel="mail", recipient=add_person("ann"), subject="Ended:\r\nBcc: eve@example.org\n x", body="b", key="k"
        )
        send_due()
        (mail,) = mailbox.messages
        assert (mail["Subject"], mail["Bcc"]) == ("Ended: Bcc: eve@example.org x", None)


class TestDigest:
    def test_one_mail_for_all_runs_of_a_day(self, mailbox: Mailbox) -> None:
        person = add_person("ann", digest=True, digest_at=datetime(2026, 5, 2, 6, 0, tzinfo=UTC))
        due = datetime(2026, 5, 3, 6, 0, tzinfo=UTC)
        workspace = add_workspace(add_project())
        first, second, later = (add_run(workspace, person) for _ in range(3))
        for run, at in ((first, due - timedelta(hours=3)), (second, due), (later, due + timedelta(hours=1))):
            run.requests.create(workspace=workspace, backend=new_request().backend, created_by=person, status="failed")
            RunGroup.objects.filter(pk=run.pk).update(notified_at=at)
        assert digests.write_digest(person.pk, due) == 1
        assert digests.write_digest(person.pk, due) == 0
        assert digests.write_digest(person.pk, due + timedelta(days=1)) == 1
        assert digests.write_digest(person.pk, due + timedelta(days=2)) == 0
        send_due()
        assert [mail["Subject"] for mail in mailbox.messages] == ["2 runs, 2 failed", "1 run, 1 failed"]
        assert f"/{workspace.name}/{first.pk}/" in mailbox.messages[0].get_content()

    def test_whoever_chose_it_gets_no_single_mails(self, mailbox: Mailbox) -> None:
        request = new_request()
        User.objects.filter(pk=request.created_by_id).update(digest=True)
        record_jobs(request, [report(request, "a", "failed")], complete=True)
        assert not OutgoingMessage.objects.exists()
        assert RunGroup.objects.get(pk=request.run_id).notified_at is not None

    def test_due_once_a_day(self) -> None:
        noon = datetime(2026, 5, 3, 12, 0, tzinfo=UTC)
        assert digests.digest_due_since(noon) == datetime(2026, 5, 3, 6, 0, tzinfo=UTC)
        assert digests.digest_due_since(noon - timedelta(hours=8)) == datetime(2026, 5, 2, 6, 0, tzinfo=UTC)
        assert digests.write_digests() == 0


class TestWebhooks:
    def test_a_signed_call_at_the_failure_and_at_the_end(self, calls: Calls) -> None:
        request = new_request()
        webhook = add_webhook(request.workspace.project, calls.url, "test")
        record_jobs(request, [report(request, "a", "failed"), report(request, "b", "running")], complete=True)
        send_due()
        record_jobs(request, [report(request, "b", "succeeded")], complete=False)
        send_due()
        events = [json.loads(body)["event"] for _, body in calls.received]
        assert events == ["run.failed", "run.ended"]
        headers, body = calls.received[0]
        expected = hmac.new(webhook.secret.encode(), body, hashlib.sha256).hexdigest()
        assert headers["Carrel-Signature"] == f"sha256={expected}"
        assert headers["Carrel-Event"] == "run.failed"
        assert json.loads(body)["requests"][0]["backend"] == request.backend.slug

    def test_it_is_called_again_with_the_same_id_until_it_takes_it(self, calls: Calls) -> None:
        request = new_request()
        add_webhook(request.workspace.project, calls.url, "test")
        calls.statuses = [500, 302]
        record_jobs(request, [report(request, "a", "succeeded")], complete=True)
        for _ in range(4):
            send_due()
        assert len(calls.received) == 3
        assert len({headers["Carrel-Delivery"] for headers, _ in calls.received}) == 1
        assert OutgoingMessage.objects.get().sent_at is not None

    def test_an_address_inside_the_network_is_never_called(self, calls: Calls, monkeypatch) -> None:
        request = new_request()
        Webhook.objects.create(project=request.workspace.project, url=calls.url.replace("http:", "https:"))
        monkeypatch.setenv("WEBHOOK_HOSTS", "")
        own_settings.get.cache_clear()
        record_jobs(request, [report(request, "a", "succeeded")], complete=True)
        send_due()
        assert calls.received == []
        message = OutgoingMessage.objects.get()
        assert "inside a network" in message.error
        assert message.given_up_at is not None

    def test_a_name_that_means_another_address_a_moment_later_is_called_where_it_was_looked_up(
        self, calls: Calls, monkeypatch
    ) -> None:
        """A name server that rebinds answers otherwise the second time: there is no second time."""
        monkeypatch.setenv("WEBHOOK_HOSTS", "hook.test")
        own_settings.get.cache_clear()
        look_up, answers = socket.getaddrinfo, ["127.0.0.1"]
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *rest, **more: look_up(answers.pop() if host == "hook.test" else host, *rest, **more),
        )
        webhook = add_webhook(add_project(), calls.url.replace("127.0.0.1", "hook.test"), "test")
        try_webhook(webhook, "test")
        send_due()
        ((headers, _),) = calls.received
        assert headers["Host"] == urlsplit(webhook.url).netloc
        assert answers == []

    def test_one_that_was_removed_is_not_called(self, calls: Calls) -> None:
        request = new_request()
        webhook = add_webhook(request.workspace.project, calls.url, "test")
        record_jobs(request, [report(request, "a", "succeeded")], complete=True)
        remove_webhook(webhook, "test")
        send_due()
        assert calls.received == []


def test_calls_that_wait_for_one_receiver_stand_in_nobodys_way(mailbox: Mailbox, calls: Calls) -> None:
    request = new_request()
    slow, quick = (add_webhook(request.workspace.project, f"{calls.url}{path}", "test") for path in ("slow", "quick"))
    OutgoingMessage.objects.bulk_create(
        OutgoingMessage(channel=OutgoingMessage.Channel.WEBHOOK, webhook=slow, subject="e", body="{}", key=f"k{number}")
        for number in range(outbox.MAX_DUE + 20)
    )
    for _ in range(3):
        try_webhook(slow, "test")
        try_webhook(quick, "test")
    assert OutgoingMessage.objects.filter(subject="webhook.tried").count() == 2
    record_jobs(request, [report(request, "a", "failed")], complete=True)
    due = outbox.due_messages()
    assert [message.webhook_id for message in due].count(slow.pk) == 1
    assert quick.pk in {message.webhook_id for message in due}
    assert "mail" in {message.channel for message in due}

"""What turns the link on, what is refused, and how people see how it goes."""

import io

import pytest
from django.core.management import CommandError, call_command
from tests.controller.link.conftest import identifier

from carrel.controller import metrics, settings
from carrel.units.settings import SettingsError


def load(environment, **values):
    for name, value in values.items():
        environment.setenv(name, value)
    return settings.load()


def test_it_is_off_unless_it_is_configured(controller_env):
    assert settings.load().linked_backends == []
    controller_env.setenv("TEST_JOB_SERVER_LINK_TOKEN", "secret-link")
    assert settings.load().linked_backends == []
    assert load(controller_env, JOB_SERVER_ENDPOINT="https://jobs.example.org/api/v2").linked_backends == ["test"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"JOB_SERVER_ENDPOINT": "jobs.example.org"}, "JOB_SERVER_ENDPOINT: it must be a URL that starts with http"),
        ({"JOB_SERVER_ENDPOINT": "ftp://jobs.example.org"}, "JOB_SERVER_ENDPOINT: it must be a URL"),
        ({"JOB_SERVER_ENDPOINT": "https://u:secret-link@jobs.example.org"}, "it must be a plain URL"),
        ({"JOB_SERVER_ENDPOINT": "https://jobs.example.org/?a=b"}, "it must be a plain URL"),
        ({"JOB_SERVER_ENDPOINT": "https://[broken"}, "JOB_SERVER_ENDPOINT: Invalid"),
        ({"TEST_JOB_SERVER_LINK_TOKEN": ""}, "set one of TEST_JOB_SERVER_LINK_TOKEN, TPP_JOB_SERVER_LINK_TOKEN"),
        ({"TEST_JOB_SERVER_LINK_TOKEN": "test-token"}, "the job server could play the agent"),
        ({"TEST_JOB_SERVER_LINK_TOKEN": "secret-link\n"}, "TEST_JOB_SERVER_LINK_TOKEN: it holds characters"),
        ({"TEST_JOB_SERVER_LINK_TOKEN": "secret-linké"}, "TEST_JOB_SERVER_LINK_TOKEN: it holds characters"),
        ({"POLL_INTERVAL": "0"}, "POLL_INTERVAL"),
    ],
)
def test_what_cannot_work_is_a_sentence_without_secrets(controller_env, values, sentence):
    good = {"JOB_SERVER_ENDPOINT": "https://jobs.example.org/", "TEST_JOB_SERVER_LINK_TOKEN": "secret-link"}
    with pytest.raises(SettingsError) as error:
        load(controller_env, **(good | values))
    assert sentence in str(error.value)
    assert "secret-link" not in str(error.value)


def test_the_command_and_the_metrics_say_how_it_goes(server, link, ask, link_env):
    def command() -> list[str]:
        out = io.StringIO()
        call_command("job_server_link", stdout=out)
        return out.getvalue().splitlines()

    assert command() == [
        f"[{slug}] {server.url}: not asked yet; is `carrel controller` running?" for slug in ("test", "tpp")
    ]
    ask(identifier(1))
    link.once()
    assert command()[0].startswith(f"[test] {server.url}: last answered 2")
    assert command()[0].endswith("Z, 1 requests in progress")
    text = metrics.exposition()[0].decode()
    assert 'carrel_link_failures{backend="test"} 0.0' in text
    assert 'carrel_link_unsettled_requests{backend="test"} 1.0' in text
    server.faults.append("detail 403")
    link.once()
    with pytest.raises(CommandError, match="These links have a problem: test"):
        command()
    assert 'carrel_link_failures{backend="test"} 1.0' in metrics.exposition()[0].decode()
    link_env.delenv("TPP_JOB_SERVER_LINK_TOKEN")
    settings.get.cache_clear()
    link.once()
    assert command()[1] == "[tpp] off (TPP_JOB_SERVER_LINK_TOKEN and JOB_SERVER_ENDPOINT turn it on)"


def test_purged_requests_leave_nothing_of_the_link(server, link, ask):
    from datetime import timedelta

    from carrel.controller import clock
    from carrel.controller.models import LinkedRequest
    from carrel.controller.service import administration

    ask(identifier(1), "unheard_of")
    link.once()
    assert LinkedRequest.objects.count() == 1
    later = clock.now() + timedelta(days=1)
    administration.purge(later, "admin:t", dry_run=True)
    assert LinkedRequest.objects.count() == 1
    assert administration.purge(later, "admin:t")["raps"] == 1
    assert LinkedRequest.objects.count() == 0

"""Signing in by three words, and rights that are asked for anew: against our own job server, and without it."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone
from tests.jobserver.api.conftest import Api
from tests.support.review import WORKSPACE

from carrel.review import settings as review_settings
from carrel.review.accounts import viewer
from carrel.review.models import Account, AuditEvent
from carrel.review.signing_in import SignInRefused, sign_in_by_words, with_current_rights

NOW = timezone.now()
ADDRESS = "127.0.0.1"


@pytest.fixture
def bob(job_server: Api) -> Account:
    from carrel.jobserver.models import User
    from carrel.jobserver.service.tokens import create_level4_token

    person = User.objects.get(username="bob")
    words = create_level4_token(person, person)
    account = sign_in_by_words("BOB@example.org".lower(), words, ADDRESS, NOW)
    with pytest.raises(SignInRefused, match="work once"):
        sign_in_by_words("bob", words, ADDRESS, NOW)
    return account


def test_rights_are_asked_for_anew_after_a_quarter_of_an_hour_and_not_before(bob: Account, job_server: Api) -> None:
    from carrel.jobserver.models import RoleAssignment

    person = viewer(bob, NOW)
    assert person is not None
    assert (person.username, person.is_checker, person.levels) == ("bob", True, {4})
    RoleAssignment.objects.all().delete()
    before = NOW + timedelta(minutes=14, seconds=59)
    person = viewer(with_current_rights(bob, before), before)
    assert person is not None
    assert person.is_checker
    after = NOW + timedelta(minutes=15)
    assert viewer(bob, after + timedelta(seconds=1)) is None, "what is too old is never used"
    person = viewer(with_current_rights(bob, after), after)
    assert person is not None
    assert not person.is_checker
    assert AuditEvent.objects.filter(event_type="ACCOUNT_RIGHTS").count() == 2


def test_who_is_no_member_any_more_may_do_nothing(bob: Account, job_server: Api) -> None:
    job_server.north.memberships.filter(user__username="bob").delete()
    after = NOW + timedelta(minutes=16)
    assert viewer(with_current_rights(bob, after), after) is None
    assert Account.objects.get(pk="bob").authorisation == {}
    assert viewer(Account.objects.get(pk="bob"), NOW) is None


def test_an_outage_of_the_job_server_fails_closed_and_ends(
    bob: Account, job_server: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = NOW + timedelta(minutes=16)
    monkeypatch.setenv("JOB_SERVER_ENDPOINT", "http://127.0.0.1:1/")
    review_settings.get.cache_clear()
    assert viewer(with_current_rights(bob, after), after) is None
    with pytest.raises(SignInRefused, match="cannot be asked just now"):
        sign_in_by_words("bob", "three good words", ADDRESS, after)
    assert not AuditEvent.objects.filter(event_type="SIGN_IN_REFUSED", at__gt=after).exists()
    monkeypatch.setenv("JOB_SERVER_ENDPOINT", f"{job_server.url}/api/v2/")
    review_settings.get.cache_clear()
    assert viewer(with_current_rights(bob, after), after) is None, "it is not asked again at once"
    cache.clear()
    assert viewer(with_current_rights(bob, after), after) is not None


def test_a_closed_account_stays_closed_whatever_the_job_server_says(bob: Account) -> None:
    Account.objects.filter(pk="bob").update(is_active=False)
    after = NOW + timedelta(minutes=16)
    assert viewer(with_current_rights(bob, after), after) is None


def test_a_workspace_of_the_job_server_is_a_membership_here(job_server: Api) -> None:
    from carrel.jobserver.models import ProjectMembership, Role, RoleAssignment, User
    from carrel.jobserver.service.tokens import create_level4_token

    ann = User.objects.get(username="ann")
    ProjectMembership.objects.create(project=job_server.project, user=ann)
    RoleAssignment.objects.create(user=ann, role=Role.objects.get(name="ProjectDeveloper"), project=job_server.project)
    account = sign_in_by_words("ann", create_level4_token(ann, ann), ADDRESS, NOW)
    person = viewer(account, NOW)
    assert person is not None
    assert set(person.workspaces) == {WORKSPACE}

"""Passkeys in a real browser, with Chromium's virtual authenticator: added, then used to sign in without a password."""

import re
from collections.abc import Iterator

import pytest
from allauth.mfa.models import Authenticator
from django.core.handlers.wsgi import WSGIHandler
from tests.support.browser import Visit, browser, served
from tests.support.databases import Database
from tests.support.jobserver import PASSWORD, add_person

from carrel.jobserver.models import AuditEvent

__all__ = ["browser"]
pytestmark = pytest.mark.browser


@pytest.fixture
def site(own_database: Database, settings) -> Iterator[str]:
    settings.ALLOWED_HOSTS = ["127.0.0.1", "localhost"]  # passkeys are for names, not for addresses
    with served(WSGIHandler()) as url:
        yield url


def add_virtual_authenticator(visit: Visit) -> None:
    devtools = visit.context.new_cdp_session(visit.page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def test_a_passkey_is_added_and_signs_in(site, browser):
    ann = add_person("ann")
    ann.set_password(PASSWORD)
    ann.save()
    with Visit(browser, site.replace("127.0.0.1", "localhost")) as visit:
        add_virtual_authenticator(visit)
        page = visit.open("/accounts/login/")
        page.get_by_label("Username or e-mail address").fill("ann")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url("**/")
        visit.open("/accounts/2fa/webauthn/add/")
        if "reauthenticate" in page.url:
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Go on").click()
        page.get_by_label("Passwordless").check()
        page.get_by_role("button", name="Add it").click()
        page.wait_for_url(re.compile("recovery-codes|webauthn/$|security"))
        assert Authenticator.objects.filter(user=ann, type="webauthn").count() == 1

        # What answers a form elsewhere has its page's address: reloading posts nothing again.
        visit.open("/settings/tokens/")
        page.get_by_label("Name", exact=True).fill("laptop")
        page.locator("form[action$='/settings/tokens/create/'] [name=scopes]").first.check()
        page.locator("form[action$='/settings/tokens/create/'] button").click()
        page.get_by_text("it is not shown again").wait_for()
        page.wait_for_url("**/settings/tokens/")
        page.reload()
        assert ann.tokens.count() == 1

        visit.open("/accounts/logout/")
        page.get_by_role("button", name="Sign out").last.click()
        page.wait_for_url("**/")
        visit.open("/accounts/login/")
        page.get_by_role("button", name="Use a passkey").click()
        page.wait_for_url(re.compile(r"localhost:\d+/$"))
        visit.open("/settings/security/")
        assert page.get_by_text("used in this session").is_visible()
        assert visit.complaints == []
    assert {"second_factor.added", "sign_in.succeeded"} <= set(AuditEvent.objects.values_list("action", flat=True))


def test_without_javascript_there_is_no_button_that_does_nothing(site, browser):
    with Visit(browser, site, scripts=False) as visit:
        page = visit.open("/accounts/login/")
        assert page.get_by_role("button", name="Sign in", exact=True).is_visible()
        assert not page.get_by_role("button", name="Use a passkey").is_visible()

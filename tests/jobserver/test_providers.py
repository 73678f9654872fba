"""Signing in through another provider: who gets an account, who is matched, what happens to addresses."""

import pytest
from django.test import Client
from tests.support import github, oidc
from tests.support.jobserver import add_person, browse

from carrel.jobserver.accounts import has_second_factor
from carrel.jobserver.models import AuditEvent, User
from carrel.jobserver.rights.persons import person_named, rights_of
from carrel.units.settings import SettingsError
from carrel.web.sign_in import sign_in_settings

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def issuer():
    with oidc.provider() as address:
        yield address


@pytest.fixture(autouse=True)
def _configured(issuer, settings):
    settings.SOCIALACCOUNT_PROVIDERS = oidc.settings_for(issuer)


def test_the_first_sign_in_makes_an_account_without_rights(issuer):
    oidc.tell(issuer, "u-1", email="ann@uni.example", email_verified=True, name="Ann Lee", preferred_username="annl")
    client = Client()
    assert oidc.sign_in(client, "u-1").status_code == 302
    ann = User.objects.get()
    assert (ann.username, ann.fullname, ann.email) == ("annl", "Ann Lee", "ann@uni.example")
    assert rights_of(ann).grants == ()
    assert not ann.has_usable_password()
    assert "Ann Lee" in client.get("/settings/").content.decode()
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"person.created", "sign_in.succeeded"} <= actions


def test_the_provider_knows_its_people_by_its_own_id(issuer):
    oidc.tell(issuer, "u-2", email="ben@uni.example", email_verified=True, preferred_username="ben")
    oidc.sign_in(Client(), "u-2")
    oidc.tell(issuer, "u-2", email="new@uni.example", email_verified=True, preferred_username="renamed")
    oidc.sign_in(Client(), "u-2")
    assert [user.username for user in User.objects.all()] == ["ben"]


@pytest.mark.parametrize("verified", [True, False])
def test_an_address_takes_over_nobodys_account(issuer, verified):
    add_person("ann", "StaffAreaAdministrator", email="ann@example.org")
    oidc.tell(issuer, "u-3", email="ann@example.org", email_verified=verified, preferred_username="ann")
    client = Client()
    oidc.sign_in(client, "u-3")
    newcomer = User.objects.exclude(username="ann").get()
    assert newcomer.email is None
    assert client.session["_auth_user_id"] == str(newcomer.pk)
    assert rights_of(newcomer).grants == ()


def test_an_unverified_address_is_not_taken(issuer):
    oidc.tell(issuer, "u-4", email="who@example.org", email_verified=False, preferred_username="who")
    oidc.sign_in(Client(), "u-4")
    assert User.objects.get().email is None


def test_a_closed_account_stays_out(issuer):
    oidc.tell(issuer, "u-5", preferred_username="cat")
    oidc.sign_in(Client(), "u-5")
    User.objects.update(is_active=False)
    client = Client()
    assert oidc.sign_in(client, "u-5")["Location"] == "/accounts/inactive/"
    assert "_auth_user_id" not in client.session


def test_an_answer_that_nobody_asked_for_is_refused(issuer):
    answer = Client().get("/accounts/oidc/oidc/login/callback/?code=abc&state=forged")
    assert "Signing in did not work" in answer.content.decode()
    assert not User.objects.exists()


def test_only_a_form_of_ours_leads_to_the_provider(issuer):
    assert Client().get("/accounts/with/oidc/")["Location"] == "/accounts/login/"
    assert Client(enforce_csrf_checks=True).post("/accounts/with/oidc/").status_code == 403
    assert Client().post("/accounts/with/other/").status_code == 404


def test_connecting_asks_who_sits_here_first(issuer):
    answer = browse(add_person("ann")).post("/accounts/with/oidc/")
    assert answer["Location"].startswith("/accounts/logout/?next=")


def test_buttons_show_only_what_is_configured(issuer, settings):
    page = Client().get("/accounts/login/").content.decode()
    assert "Sign in with Port University" in page
    assert "GitHub" not in page
    settings.SOCIALACCOUNT_PROVIDERS = {}
    assert "Single sign-on is not configured here" in Client().get("/accounts/login/").content.decode()


class TestEnvironment:
    def test_names_both_providers(self, monkeypatch, tmp_path):
        secret = tmp_path / "secret"
        secret.write_text("s3cret\n")
        for name, value in {
            "OIDC_ISSUER": "https://id.example/",
            "OIDC_CLIENT_ID": "carrel",
            "OIDC_CLIENT_SECRET_FILE": str(secret),
            "OIDC_NAME": "Port",
            "GITHUB_CLIENT_ID": "gh",
            "GITHUB_CLIENT_SECRET": "gh-secret",
        }.items():
            monkeypatch.setenv(name, value)
        providers = sign_in_settings(is_local=False)["SOCIALACCOUNT_PROVIDERS"]
        app = providers["openid_connect"]["APPS"][0]
        assert (app["name"], app["secret"], app["settings"]["server_url"]) == ("Port", "s3cret", "https://id.example")
        assert providers["github"]["APPS"][0]["client_id"] == "gh"

    def test_without_any_there_are_none(self):
        assert sign_in_settings(is_local=False)["SOCIALACCOUNT_PROVIDERS"] == {}

    @pytest.mark.parametrize(
        ("variables", "why"),
        [
            ({"OIDC_ISSUER": "https://id.example"}, "OIDC_CLIENT_ID"),
            ({"OIDC_CLIENT_ID": "x", "OIDC_CLIENT_SECRET": "y"}, "OIDC_ISSUER"),
            ({"GITHUB_CLIENT_ID": "x"}, "GITHUB_CLIENT_SECRET"),
            ({"GITHUB_CLIENT_ID": "x", "GITHUB_CLIENT_SECRET_FILE": "missing"}, "cannot be read"),
        ],
    )
    def test_half_a_provider_is_refused_by_name(self, monkeypatch, tmp_path, variables, why):
        monkeypatch.chdir(tmp_path)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SettingsError, match=why):
            sign_in_settings(is_local=False)


@pytest.mark.parametrize(
    ("methods", "counts"),
    [(["pwd", "mfa"], True), (["hwk"], True), (["pwd"], False), (None, False), ("mfa", False), ([{"mfa": 1}], False)],
)
def test_a_second_factor_at_the_provider_counts_here_when_it_says_so(issuer, methods, counts):
    """The claim `amr` (RFC 8176): backends that ask for a second factor believe it."""
    oidc.tell(issuer, "u-6", preferred_username="dora", **({} if methods is None else {"amr": methods}))
    client = Client()
    oidc.sign_in(client, "u-6")
    request = client.get("/settings/").wsgi_request
    assert has_second_factor(request) == counts


class TestGitHub:
    @pytest.fixture
    def site(self, settings, monkeypatch):
        settings.SOCIALACCOUNT_PROVIDERS = github.SETTINGS
        with github.github(monkeypatch) as state:
            state.user = {"id": 77, "login": "octo", "name": "Octo Cat", "email": "claimed@example.org"}
            state.emails = [
                {"email": "Octo@example.org", "verified": True, "primary": True},
                {"email": "ann@example.org", "verified": False, "primary": False},
            ]
            yield state

    def test_its_people_are_known_by_its_own_number(self, site):
        ann = add_person("octo", "StaffAreaAdministrator", email="ann@example.org")
        client = Client()
        assert github.sign_in(client, site)["Location"] == "/"
        octo = User.objects.exclude(pk=ann.pk).get()
        assert (octo.fullname, octo.email, rights_of(octo).grants) == ("Octo Cat", "octo@example.org", ())
        assert octo.username != "octo"
        site.user = {"id": 77, "login": "renamed", "name": None}
        github.sign_in(Client(), site)
        site.user = {"id": 78, "login": "octo", "name": ""}
        github.sign_in(Client(), site)
        assert User.objects.count() == 3
        assert not has_second_factor(client.get("/settings/").wsgi_request)

    @pytest.mark.parametrize(
        ("path", "answer"),
        [
            ("/login/oauth/access_token", (200, b'{"error": "bad_verification_code"}')),
            ("/login/oauth/access_token", (503, b"<html>unicorn</html>")),
            ("/api/v3/user", (401, b'{"message": "Bad credentials"}')),
            ("/api/v3/user", (200, b"<html>")),
            ("/api/v3/user", (200, b"[]")),
            ("/api/v3/user", (200, b"{}")),
            ("/api/v3/user/emails", (403, b'{"message": "no scope"}')),
        ],
    )
    def test_whatever_it_answers_there_is_a_page(self, site, path, answer):
        site.instead[path] = answer
        page = github.sign_in(Client(), site)
        assert "Signing in did not work" in page.content.decode()
        assert not User.objects.exists()

    @pytest.mark.parametrize("instead", [{"state": "forged"}, {"code": "guessed"}, {"error": "access_denied"}])
    def test_an_answer_that_is_not_to_our_question_signs_nobody_in(self, site, instead):
        client = Client()
        github.sign_in(client, site, **instead)
        assert "_auth_user_id" not in client.session
        assert not User.objects.exists()


@pytest.mark.parametrize("username", ["ann@example.org", "ann＠example.org"])
def test_a_username_that_looks_like_somebody_elses_address_is_not_taken(issuer, username):
    """At many a provider people choose it themselves; whoever gives rights to an address means its owner."""
    oidc.tell(issuer, "u-9", email="eve@example.org", email_verified=True, preferred_username=username)
    oidc.sign_in(Client(), "u-9")
    eve = User.objects.get()
    assert "@" not in eve.username
    assert person_named("ann@example.org") is None

"""Tokens of persons, of backends, and the three words of level 4."""

import re
from datetime import timedelta

import pytest
from django.conf import global_settings
from django.utils import timezone
from tests.support import jobserver as rows

from carrel.jobserver import checks
from carrel.jobserver.models import AuditEvent, Level4Token, OutgoingMessage, PersonalToken
from carrel.jobserver.models.audit import SECURITY
from carrel.jobserver.service import tokens
from carrel.jobserver.service.tokens import (
    TokenNotIssued,
    backend_of_token,
    create_backend_token,
    create_level4_token,
    create_personal_token,
    person_of_token,
    revoke_backend_token,
    revoke_personal_token,
    use_level4_token,
)

pytestmark = pytest.mark.django_db


def in_days(days: float):
    return timezone.now() + timedelta(days=days)


class TestPersonalTokens:
    def test_is_shown_once_and_stored_hashed(self):
        ann = rows.add_person("ann")
        raw = create_personal_token(ann, "laptop", ["run", "read"], in_days(30), ann)
        token = PersonalToken.objects.get()
        assert raw.startswith("carrel_")
        assert raw not in str(PersonalToken.objects.values().get())
        assert token.scopes == ["read", "run"]
        assert raw.startswith(token.hint)

    def test_names_its_person_until_it_is_revoked(self):
        ann = rows.add_person("ann")
        raw = create_personal_token(ann, "laptop", ["read"], in_days(30), ann)
        token = person_of_token(raw)
        assert token is not None
        assert token.user == ann
        assert PersonalToken.objects.get().last_used_at is not None
        assert person_of_token(raw + "x") is None
        revoke_personal_token(token, ann)
        revoke_personal_token(token, ann)
        assert person_of_token(raw) is None

    @pytest.mark.parametrize("change", [{"expires_at": timezone.now()}, {"user__is_active": False}])
    def test_counts_neither_after_its_end_nor_for_a_closed_account(self, change):
        ann = rows.add_person("ann")
        raw = create_personal_token(ann, "laptop", ["read"], in_days(30), ann)
        if "expires_at" in change:
            PersonalToken.objects.update(**change)
        else:
            type(ann).objects.update(is_active=False)
        assert person_of_token(raw) is None

    @pytest.mark.parametrize(
        ("name", "scopes", "days", "why"),
        [
            (" ", ["read"], 30, "name"),
            ("laptop", [], 30, "Choose what"),
            ("laptop", ["everything"], 30, "Choose what"),
            ("laptop", ["read"], -1, "within a year"),
            ("laptop", ["read"], 366, "within a year"),
        ],
    )
    def test_refuses_what_makes_no_sense(self, name, scopes, days, why):
        ann = rows.add_person("ann")
        with pytest.raises(TokenNotIssued, match=why):
            create_personal_token(ann, name, scopes, in_days(days), ann)
        assert not PersonalToken.objects.exists()

    def test_has_a_limit(self, monkeypatch):
        monkeypatch.setattr(tokens, "TOKENS_AT_ONCE", 1)
        ann = rows.add_person("ann")
        create_personal_token(ann, "one", ["read"], in_days(30), ann)
        with pytest.raises(TokenNotIssued, match="Revoke one"):
            create_personal_token(ann, "two", ["read"], in_days(30), ann)

    def test_is_audited_without_the_token(self):
        ann = rows.add_person("ann")
        raw = create_personal_token(ann, "laptop", ["read"], in_days(30), ann)
        revoke_personal_token(PersonalToken.objects.get(), ann)
        events = AuditEvent.objects.filter(category=SECURITY).order_by("id")
        assert [event.action for event in events] == ["personal_token.created", "personal_token.revoked"]
        assert {event.subject for event in events} == {"ann"}
        assert raw not in str(list(events.values()))


class TestBackendTokens:
    def test_names_its_backend(self):
        north = rows.add_backend("north")
        raw = create_backend_token(north, "command line")
        assert backend_of_token(raw) == north
        assert backend_of_token("") is None
        assert backend_of_token(raw[:-1]) is None

    def test_older_ones_go_on_until_the_chosen_time(self):
        north = rows.add_backend("north")
        old = create_backend_token(north, "command line")
        new = create_backend_token(north, "command line", older_end_after=timedelta(days=1))
        assert backend_of_token(old) == backend_of_token(new) == north
        newest = create_backend_token(north, "command line", older_end_after=timedelta(0))
        assert backend_of_token(old) is None
        assert backend_of_token(new) is None
        assert backend_of_token(newest) == north

    def test_a_rotation_never_lengthens_a_life(self):
        north = rows.add_backend("north")
        old = create_backend_token(north, "command line")
        create_backend_token(north, "command line", older_end_after=timedelta(0))
        create_backend_token(north, "command line", older_end_after=timedelta(days=7))
        assert backend_of_token(old) is None

    def test_can_be_revoked_and_an_inactive_backend_has_none(self):
        north, south = rows.add_backend("north"), rows.add_backend("south", is_active=False)
        raw = create_backend_token(north, "command line")
        revoke_backend_token(north.tokens.get(), "command line")
        assert backend_of_token(raw) is None
        assert backend_of_token(create_backend_token(south, "command line")) is None

    def test_has_a_limit(self):
        north = rows.add_backend("north")
        for _ in range(tokens.BACKEND_TOKENS_AT_ONCE):
            create_backend_token(north, "command line")
        with pytest.raises(TokenNotIssued, match="Let the older ones end"):
            create_backend_token(north, "command line")


class TestLongBodies:
    """The web server takes them from senders of tokens that were valid a while ago."""

    def test_a_used_token_is_known_in_each_form_until_it_is_revoked(self):
        ann = rows.add_person("ann")
        raw = create_personal_token(ann, "laptop", ["read"], in_days(30), ann)
        forms = (raw, f"Bearer {raw}", f"ann:{raw}")
        assert not any(map(checks.token_known, (*forms, "", "Bearer x")))
        person_of_token(raw)
        assert all(map(checks.token_known, forms))
        revoke_personal_token(PersonalToken.objects.get(), ann)
        assert not any(map(checks.token_known, forms))


class TestLevel4Tokens:
    @pytest.fixture
    def north(self):
        return rows.add_backend("north")

    @pytest.fixture
    def ann(self, north):
        ann = rows.add_person("ann")
        rows.BackendMembership.objects.create(backend=north, user=ann)
        return ann

    def test_is_three_words_of_48_bits_stored_by_the_password_hasher(self, ann, settings):
        settings.PASSWORD_HASHERS = global_settings.PASSWORD_HASHERS
        words = create_level4_token(ann, ann)
        assert re.fullmatch(r"[a-z]{5} [a-z]{5} [a-z]{5}", words)
        assert 3 * (3 * 4 + 2 * 2) == 48
        assert Level4Token.objects.get().hash.startswith("pbkdf2_sha256$")

    def test_is_used_once_whatever_its_capitals_and_spaces(self, ann, north):
        words = create_level4_token(ann, ann)
        written = f"  {words.upper().replace(' ', '-')} "
        assert use_level4_token(ann, written, north)
        assert not use_level4_token(ann, written, north)
        actions = AuditEvent.objects.order_by("id").values_list("actor", "action")
        assert list(actions) == [
            ("ann", "level4_token.created"),
            ("backend:north", "level4_token.used"),
            ("backend:north", "level4_token.refused"),
        ]

    def test_ends_after_an_hour_and_with_the_next_one(self, ann, north):
        first = create_level4_token(ann, ann)
        second = create_level4_token(ann, ann)
        assert not use_level4_token(ann, first, north)
        Level4Token.objects.update(expires_at=timezone.now())
        assert not use_level4_token(ann, second, north)

    def test_is_locked_after_five_wrong_tries(self, ann, north):
        words = create_level4_token(ann, ann)
        for _ in range(tokens.LEVEL4_TRIES):
            assert not use_level4_token(ann, "wrong wrong wrong", north)
        assert not use_level4_token(ann, words, north)

    def test_many_wrong_tries_lock_a_person_out_for_an_hour(self, ann, north):
        for _ in range(tokens.LEVEL4_FAILURES_OF_PERSON):
            use_level4_token(ann, "wrong", north)
        words = create_level4_token(ann, ann)
        assert not use_level4_token(ann, words, north)
        assert AuditEvent.objects.filter(action="level4_token.throttled").exists()

    def test_many_wrong_tries_lock_a_backend_out_but_not_the_others(self, ann, north, monkeypatch):
        monkeypatch.setattr(tokens, "LEVEL4_FAILURES_OF_BACKEND", 3)
        for _ in range(3):
            use_level4_token(rows.add_person(), "wrong", north)
        words = create_level4_token(ann, ann)
        assert not use_level4_token(ann, words, north)
        assert use_level4_token(ann, words, rows.add_backend("south"))

    def test_is_only_for_active_members_of_a_backend(self, ann, north):
        with pytest.raises(TokenNotIssued, match="member of none"):
            create_level4_token(rows.add_person("ben"), "ben")
        words = create_level4_token(ann, ann)
        type(ann).objects.filter(pk=ann.pk).update(is_active=False)
        ann.refresh_from_db()
        assert not use_level4_token(ann, words, north)

    def test_may_not_be_made_without_end(self, ann, monkeypatch):
        monkeypatch.setattr(tokens, "LEVEL4_CREATED_PER_HOUR", 1)
        create_level4_token(ann, ann)
        with pytest.raises(TokenNotIssued, match="Wait a while"):
            create_level4_token(ann, ann)

    def test_mails_go_out_on_creation_and_use_where_there_is_mail(self, ann, north, settings):
        use_level4_token(ann, create_level4_token(ann, ann), north)
        assert not OutgoingMessage.objects.exists()
        settings.EMAIL_HOST = "mail.example.org"
        words = create_level4_token(ann, ann)
        use_level4_token(ann, words, north)
        messages = OutgoingMessage.objects.order_by("id")
        assert [message.subject for message in messages] == ["Level 4 token created", "Level 4 token used"]
        assert not any(word in message.body for message in messages for word in words.split())

    def test_words_tried_at_the_same_moment_are_used_once(self, ann, north, monkeypatch):
        words = create_level4_token(ann, ann)
        check_password, inner = tokens.check_password, []

        def check_while_another_is_faster(typed: str, stored: str) -> bool:
            monkeypatch.setattr(tokens, "check_password", check_password)
            inner.append(use_level4_token(ann, words, north))
            return check_password(typed, stored)

        monkeypatch.setattr(tokens, "check_password", check_while_another_is_faster)
        outer = use_level4_token(ann, words, north)
        assert [outer, *inner] == [False, True]

import pytest
from hypothesis import given as cases
from hypothesis import settings
from hypothesis import strategies as st

from carrel.telemetry.redaction import Redactor, secrets_in, secrets_of_url


def test_known_secrets_are_hidden_wherever_they_stand():
    hide = Redactor(["s3cret-token", "s3cret-token-longer"])
    assert hide("a s3cret-token-longer b (s3cret-token)") == "a ******** b (********)"


def test_in_the_form_they_have_in_a_url_too():
    assert Redactor(["p@ss/wörd"])("x=p%40ss%2Fw%C3%B6rd") == "x=********"


def test_a_mask_of_its_own():
    assert Redactor(["1234"], mask="[REDACTED]")("PIN 1234, https://me:pw@x") == "PIN [REDACTED], https://[REDACTED]@x"


def test_secrets_learned_later():
    hide = Redactor()
    hide.add("token-of-attempt")
    assert hide("token-of-attempt") == "********"


@pytest.mark.parametrize("short", ["", "tok"])
def test_short_values_are_no_secrets(short):
    assert Redactor([short])("the token is missing") == "the token is missing"


def test_a_password_is_one_whatever_word_it_is():
    secrets = secrets_of_url("postgresql://u:token@h/n")
    assert Redactor(secrets)("connecting postgresql://u:token@h/n with token") == "connecting ******** with ********"
    assert Redactor(secrets_of_url("x://u:a@h"), shortest=1, by_looks=False)("a: x://v:b@h") == "********: x://v:b@h"


def test_the_default_of_a_token_is_no_secret():
    environ = {"CONTROLLER_TASK_API_TOKEN": "token", "X_CLIENT_TOKENS": "token,first", "A_DSN": "x://u:token@h"}
    assert sorted(secrets_in(environ)) == ["first", "token", "token,first", "x://u:token@h"]


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("git clone https://jobrunner:pat123@example.org/o/r", "git clone https://********@example.org/o/r"),
        ("mssql://sa:pw@db:1433/x and postgresql://u@h/d", "mssql://********@db:1433/x and postgresql://********@h/d"),
        ("https://me:it's@example.org/x", "https://********@example.org/x"),
        ('{"at": "https://example.org","of": "a@b"}', '{"at": "https://example.org","of": "a@b"}'),
        ("https://example.org/a@b", "https://example.org/a@b"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ********"),
        ("{'authorization': 'abc', 'x': 1}", "{'authorization': '********', 'x': 1}"),
        ("AUTHORIZATION=abc more", "AUTHORIZATION=******** more"),
        ("nothing to hide: user@example.org", "nothing to hide: user@example.org"),
    ],
)
def test_what_looks_like_a_secret(text, hidden):
    assert Redactor()(text) == hidden


def test_secrets_of_an_environment():
    environ = {
        "DEFAULT_DATABASE_URL": "mssql://sa:p%40ssword@db/x",
        "TPP_CLIENT_TOKENS": "first-token, second-token",
        "NORTH_JOB_SERVER_TOKEN": "server-token",
        "DJANGO_CONTROLLER_SECRET_KEY": "django-key",
        "STATA_LICENSE": "stata-licence",
        "EMPTY_PASSWORD": "",
        "BROKEN_DSN": "//[broken",
        "PRESTO_TLS_KEY_PATH": "/etc/key.pem",
        "BACKEND": "north",
    }
    found = set(secrets_in(environ))
    assert {"p%40ssword", "p@ssword", "first-token", "second-token", "server-token", "django-key"} <= found
    assert {"mssql://sa:p%40ssword@db/x", "stata-licence", "//[broken"} <= found
    assert not found & {"", "/etc/key.pem", "north"}


@settings(deadline=None)
@cases(st.lists(st.text("abcd/%", min_size=4, max_size=10), max_size=4), st.text("abcd/% ", max_size=40), st.data())
def test_no_secret_is_left(secrets, text, data):
    for secret in secrets:
        place = data.draw(st.integers(0, len(text)))
        text = text[:place] + secret + text[place:]
    left = Redactor(secrets)(text).replace("********", "\0")
    assert not any(secret in left for secret in secrets)

"""Tests flush no database that others use: whoever needs real commits or a live server has a database of its own."""

import ast
from pathlib import Path

TESTS = Path(__file__).parents[1]
FLUSHING = {"live_server", "transactional_db", "django_db_reset_sequences", "django_db_serialized_rollback"}
"""Fixtures of pytest-django after which all tables of the worker's shared database are emptied."""
FLUSHING_CASES = {"TransactionTestCase", "LiveServerTestCase", "StaticLiveServerTestCase"}


def flushes(text: str) -> list[str]:
    """What in this module has the shared database emptied: a fixture, a mark's argument, a class of Django's."""
    named: list[str] = []
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.arg(arg=name) if name in FLUSHING:
                named.append(name)
            case ast.Constant(value=str(name)) if name in FLUSHING:  # usefixtures, getfixturevalue
                named.append(name)
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in FLUSHING_CASES:
                named.append(name)
            case ast.Call(func=ast.Attribute(attr="django_db"), args=args, keywords=keywords):
                named += [f"django_db({ast.unparse(value)})" for value in args]
                named += [f"django_db({word.arg}=...)" for word in keywords if word.arg != "databases"]
    return named


def test_none_is_flushed() -> None:
    files = [path for path in TESTS.rglob("*.py") if path != Path(__file__)]
    assert files
    places = {str(path.relative_to(TESTS)): found for path in files if (found := flushes(path.read_text()))}
    assert places == {}, "take the fixture own_database instead"


def test_flushing_is_seen() -> None:
    text = (
        "pytestmark = [pytest.mark.django_db(transaction=True)]\n"
        "@pytest.mark.usefixtures('transactional_db')\ndef test_it(live_server): ...\n"
        "class Case(testcases.LiveServerTestCase): ...\n@pytest.mark.django_db\ndef test_fine(db): ...\n"
    )
    named = {"live_server", "transactional_db", "LiveServerTestCase", "django_db(transaction=...)"}
    assert set(flushes(text)) == named

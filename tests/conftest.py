"""What holds for every test."""

from hypothesis import settings
from tests.support.databases import database_template, own_database
from tests.support.no_skips import pytest_runtest_makereport
from tests.support.published import pytest_terminal_summary

__all__ = ["database_template", "own_database", "pytest_runtest_makereport", "pytest_terminal_summary"]

settings.register_profile("carrel", deadline=None)  # no assertions on time: the machine may be busy
settings.load_profile("carrel")

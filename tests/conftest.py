"""What holds for every test."""

from tests.support.no_skips import pytest_runtest_makereport
from tests.support.published import pytest_terminal_summary

__all__ = ["pytest_runtest_makereport", "pytest_terminal_summary"]

"""What holds for every test."""

from tests.support.no_skips import pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]

"""Django as a site that shows pages has it."""

from collections.abc import Iterator

import pytest
from django.test import override_settings
from tests.pages.gallery.settings import SETTINGS
from tests.support.browser import browser

__all__ = ["browser"]


@pytest.fixture(autouse=True)
def gallery_settings() -> Iterator[None]:
    with override_settings(**SETTINGS):
        yield

"""What holds for all tests of the job server: passwords cost nothing, and nobody was here before."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache

FAST = ["django.contrib.auth.hashers.MD5PasswordHasher"]
"""Real sites hash slowly on purpose; tests sign in hundreds of times."""


@pytest.fixture(autouse=True)
def _cheap_passwords(settings: Any) -> Iterator[None]:
    settings.PASSWORD_HASHERS = FAST
    cache.clear()
    yield
    cache.clear()

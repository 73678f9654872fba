"""Tests of the review site: Django's settings of its own process, its folders, and a browser's client."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.urls import clear_url_caches

from carrel.review import settings as review_settings_of
from carrel.web.review import review_settings

FAST = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def storage(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The medium privacy folder of a review site whose settings hold in this test."""
    medium = tmp_path / "medium_privacy"
    (medium / "workspaces").mkdir(parents=True)
    monkeypatch.setenv("MEDIUM_PRIVACY_STORAGE_BASE", str(medium))
    monkeypatch.setenv("WORKDIR", str(tmp_path / "workdir"))
    monkeypatch.setenv("BACKEND", "north")
    # What is installed stays: all tables are in the one database of tests.
    for name, value in review_settings(tmp_path / "workdir", ["testserver"]).items():
        if name not in ("INSTALLED_APPS", "CACHES"):
            setattr(settings, name, value)
    settings.PASSWORD_HASHERS = FAST
    review_settings_of.get.cache_clear()
    clear_url_caches()
    cache.clear()
    yield medium
    review_settings_of.get.cache_clear()
    clear_url_caches()
    cache.clear()

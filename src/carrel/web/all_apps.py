"""Django's settings with every app in one process, whatever CARREL_APPS says: what tests and tools look at."""

import os

_before = os.environ.get("CARREL_APPS")
os.environ["CARREL_APPS"] = "controller,jobserver"
# The settings are read from the environment when the module is imported, so not before the line above.
from carrel.web.settings import *  # noqa: E402, F403

if _before is None:
    del os.environ["CARREL_APPS"]
else:
    os.environ["CARREL_APPS"] = _before

# The review site has a process of its own; tests of its pages put its settings on (tests/review/conftest.py).
INSTALLED_APPS = [*INSTALLED_APPS, "carrel.review"]  # noqa: F405

CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
"""Within the process: whoever looks at the settings writes no file."""

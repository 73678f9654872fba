"""Where the apps' published archive map and schemas lie: outside this repository, and only where somebody put them.

`CARREL_TEST_PUBLISHED=FOLDER` runs `tests/published`, where FOLDER has `archive-map.json` and `schemas/`. Without it
those tests are not collected, and the summary says so: nothing else leans on them.
"""

import os
from pathlib import Path

import pytest

SETTING = "CARREL_TEST_PUBLISHED"


def published() -> Path | None:
    """The folder, None when nobody named one. Raises pytest.UsageError when it is not what it should be."""
    if not (text := os.environ.get(SETTING)):
        return None
    folder = Path(text)
    if not (folder / "archive-map.json").is_file() or not (folder / "schemas").is_dir():
        raise pytest.UsageError(f"{SETTING}={text}: there are no archive-map.json and schemas/ in it")
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if published() is None:
        terminalreporter.write_line(f"tests/published is not run: {SETTING} names no folder of published schemas")

"""`load_pipeline`: from text to a checked `Pipeline`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import IO

from carrel.project.constants import DEFAULT_BACKENDS
from carrel.project.models import Pipeline

Source = str | bytes | IO[str] | IO[bytes] | Path


def load_pipeline(
    source: Source,
    filename: str | None = None,
    *,
    side_file: str | bytes | None = None,
    known_backends: Collection[str] | None = None,
    default_backends: Collection[str] = DEFAULT_BACKENDS,
) -> Pipeline:
    """Read a project file.

    `source` is the text itself (or bytes, an open file, a Path); `side_file` the text of `backends.yaml`;
    `known_backends` the installation's list (None: a laptop, unknown names only warn); `default_backends` where a
    study runs that does not say. Raises ProjectValidationError with every problem found. Warnings are on the result.
    """
    raise NotImplementedError


def get_all_output_patterns_from_project_file(source: Source) -> list[str]:
    """Every output pattern of the file, once each, in no particular order."""
    raise NotImplementedError

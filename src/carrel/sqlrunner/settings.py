"""What an installation may set, by environment variables of the action's process."""

import os

from carrel.sqlrunner.errors import InstallationFault
from carrel.units.words import is_true


def memory_limit() -> str:
    """`SQLRUNNER_MEMORY_LIMIT`: what DuckDB may hold in memory before it spills to disk (default 1GiB)."""
    return os.environ.get("SQLRUNNER_MEMORY_LIMIT") or "1GiB"


def require_type_one_dissent() -> bool:
    """`SQLRUNNER_REQUIRE_TYPE_ONE_DISSENT`: refuse queries that do not name that table (default: off)."""
    try:
        return is_true(os.environ.get("SQLRUNNER_REQUIRE_TYPE_ONE_DISSENT", ""))
    except ValueError as error:
        raise InstallationFault(f"SQLRUNNER_REQUIRE_TYPE_ONE_DISSENT: {error}") from None

"""The one place that asks what time it is, so that tests can say."""

from datetime import UTC, datetime


def now() -> datetime:
    """Timezone-aware UTC."""
    return datetime.now(UTC)

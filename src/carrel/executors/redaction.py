"""Environment values that may be written to `metadata.json` (spec: agent.md 4.6); all others are masked."""

from collections.abc import Iterable

MASK = "xxxx-REDACTED-xxxx"

SHOWN = frozenset(
    (
        "PATH",
        "PYTHON_VERSION",
        "DEBIAN_FRONTEND",
        "DEBCONF_NONINTERACTIVE_SEEN",
        "UBUNTU_VERSION",
        "PYENV_SHELL",
        "PYENV_VERSION",
        "PYTHONUNBUFFERED",
        "OPENSAFELY_BACKEND",
        "TZ",
        "TEMP_DATABASE_NAME",
        "PYTHONPATH",
        "container",
        "LANG",
        "LC_ALL",
        "EHRQL_PERMISSIONS",
    )
)


def redacted_environment(pairs: Iterable[str]) -> list[str]:
    """`KEY=value` words with every value masked whose key is not on the contract's list."""
    return [pair if pair.partition("=")[0] in SHOWN else f"{pair.partition('=')[0]}={MASK}" for pair in pairs]

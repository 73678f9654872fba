"""Who runs a program."""

import getpass
import os


def login_name() -> str:
    """Return who runs this process, for a record: the login name; behind sudo, the person's own."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a container with no passwd entry
        return f"uid {os.getuid()}"

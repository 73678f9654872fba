"""Programs run as a user who is not almighty, also where the tests themselves run as root."""

import os
import shutil

from tests.support.docker import missing

_ALMIGHTY = "-dac_override,-dac_read_search,-fowner,-chown"


def as_ordinary_user() -> list[str]:
    """Words to put before a command: permissions of files count for it."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        missing("setpriv (of util-linux)")
    return ["setpriv", f"--bounding-set={_ALMIGHTY}"]

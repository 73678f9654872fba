"""Removal of folders that a job could write to."""

import os
import shutil
import subprocess
from pathlib import Path


def remove_tree(folder: Path) -> None:
    """Remove a folder that a job could write to, however deep and whatever its modes; no symlink is followed."""
    if not os.path.lexists(folder):
        return
    try:
        shutil.rmtree(folder)
    except (OSError, RecursionError):
        # The programs take any depth; folders that their owner may not enter cannot be emptied before chmod. The X is
        # for folders alone: a file here may be the very file that was published.
        for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
            subprocess.run([*command, "--", str(folder)], check=False, capture_output=True)

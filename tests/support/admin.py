"""What people who run an installation do from outside: admin commands, and (for tests only) making time pass."""

import sqlite3
import subprocess
from contextlib import closing

from tests.support.local import CARREL
from tests.support.site import LiveSite


def manage(live: LiveSite, *words: str) -> str:
    """What `carrel manage WORDS` prints, run beside the live site as its administrator would; it must succeed."""
    env = live.site.controller_env(live.keys)
    done = subprocess.run([CARREL, "manage", *words], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def end_pauses(live: LiveSite) -> None:
    """As if the pauses before further attempts (5 s and 30 s) were over: nobody learns by waiting for them."""
    with closing(sqlite3.connect(live.site.root / "controller" / "db.sqlite", timeout=30)) as connection, connection:
        connection.execute("UPDATE controller_job SET not_before = created_at WHERE not_before IS NOT NULL")
    for backend in live.site.backends:  # setting a flag makes the scheduler run
        manage(live, "flags", "set", "looked-again=", "--backend", backend.name)

"""The review site of one backend of a site: its token at the job server, its people, and a first release."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from carrel.site.job_server import OWNER, SetUp
from carrel.site.layout import Secrets, Site, SiteError, write_private
from carrel.site.processes import Running

CHECKERS = ("chris", "dana")
"""Output checkers of a site's review site; they have the owner's password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstRelease:
    """What a first request came to: files that are released, and by file why others were held back."""

    request: str
    released: Sequence[str]
    held_back: dict[str, str]


def start(up: Running, done: SetUp) -> None:
    """Start the review site, with the token that the job server gave it where it has none yet."""
    if done.backend_token:
        write_private(up.site.review_token, done.backend_token)
    up.start_review_site()


def how_to_sign_in(site: Site, keys: Secrets, done: SetUp) -> list[str]:
    """Say where the review site is, and how its people sign in."""
    lines = [f"review      {site.review_url}  (level 4 of {site.review_backend})"]
    for username in (OWNER, *CHECKERS):
        role = "asks for releases" if username == OWNER else "checks outputs"
        words = done.level4_words.get(username)
        how = f"three words, for one time within the hour: {words}" if words else "three words"
        lines.append(f"            as {username}, who {role}: {how}")
    more = f"{site.jobserver_url}/settings/tokens/ shows new words (password of all three: {keys.password})"
    return [*lines, f"            {more}"]


def release_first(up: Running, workspace: str) -> FirstRelease:
    """Have the owner ask for a workspace's outputs, both checkers approve them, and wait until they are released.

    Files of which the disclosure rules say something are held back. SiteError when it failed.
    """
    up.wait_for_review_site()
    people = [f"--checker={checker}" for checker in CHECKERS]
    said = _manage("review_example", workspace, f"--author={OWNER}", *people, env=up.site.review_env(up.keys))
    return FirstRelease(**json.loads(said))


def publish(site: Site, keys: Secrets, release: FirstRelease) -> str:
    """Make a release public, and return its page's address. SiteError when it failed."""
    return _manage("publish_release", release.request, f"--by={OWNER}", env=site.jobserver_env(keys)).strip()


def _manage(*words: str, env: dict[str, str]) -> str:
    argv = [sys.executable, "-m", "django", *words, "--settings", "carrel.web.settings"]
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise SiteError(f"{words[0]} failed:\n{done.stderr[-2000:]}")
    return done.stdout

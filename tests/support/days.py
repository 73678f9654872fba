"""A whole installation as `carrel up` starts it, for days of people: controller, job server, agents, git and mail.

People sign in with PASSWORD through the form; a study that behaves as its files say can be changed by a commit.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect
from tests.repos.conftest import Repo, new_repo
from tests.support.browser import Visit
from tests.support.receivers import Mailbox, mail_server
from tests.support.site import LiveSite, free_port, live_site

from carrel.site.layout import Site, SiteBackend
from carrel.site.processes import Process

PASSWORD = "correct horse battery staple"
PROJECT = """\
version: '5'
actions:
  extract:
    run: python:v2 python write.py extract
    outputs: {highly_sensitive: {rows: output/extract.csv}}
  normalise:
    needs: [extract]
    run: python:v2 python write.py normalise
    outputs: {highly_sensitive: {rows: output/normalise.csv}}
  visits:
    needs: [normalise]
    run:
      north: python:v2 python write.py visits
      south: python:v2 python visits.py
    outputs: {moderately_sensitive: {table: output/visits.csv}}
  incentives:
    run_on: [south]
    needs: [normalise]
    run: python:v2 python write.py incentives
    outputs: {moderately_sensitive: {table: output/incentives.csv}}
  long:
    run: python:v2 python long.py
    outputs: {moderately_sensitive: {table: output/long.csv}}
  after_long:
    needs: [long]
    run: python:v2 python write.py after_long
    outputs: {moderately_sensitive: {table: output/after_long.csv}}
"""
WRITE = "import pathlib, sys\npathlib.Path(f'output/{sys.argv[1]}.csv').write_text('a\\n1\\n')\n"
FILES = {
    "output/.gitkeep": "",
    "project.yaml": PROJECT,
    "write.py": WRITE,
    "visits.py": "raise SystemExit('no such column: plan')\n",
    "long.py": "import time\ntime.sleep(3600)\n",
}
MENDED = {**FILES, "visits.py": "import pathlib\npathlib.Path('output/visits.csv').write_text('a\\n1\\n')\n"}
PEOPLE = """
from carrel.jobserver.service import setup
from carrel.jobserver.service.audit import COMMAND_LINE as actor
def person(username, fullname, *roles):
    mail = f"{username}@example.org"
    return setup.ensure_person(username, fullname=fullname, email=mail, password=PASSWORD, roles=roles, actor=actor)
ann, ben, cat = person("ann", "Ann Lee"), person("ben", "Ben Okafor"), person("cat", "Cat Novak")
sam = person("sam", "Sam Staff", *setup.STAFF_ROLES)
backends = [
    setup.ensure_backend(slug, is_listed=True, is_dummy=True, members=[ann, ben], actor=actor)
    for slug in ("north", "south")
]
project = setup.ensure_project(
    "health-insurance", name="Health insurance", purpose="Who sees a doctor?", backends=backends,
    members={ann: ["ProjectDeveloper"], ben: ["ProjectLead"]}, actor=actor,
)
for name in WORKSPACES:
    setup.ensure_workspace(project, name, repo_url=REPO, purpose="The main analysis.", actor=actor)
"""


@dataclass(frozen=True)
class Installation:
    """What runs, its study and its mail."""

    live: LiveSite
    repo: Repo
    mailbox: Mailbox
    new_agent: Process
    """Of `west`, which nobody has started."""

    @property
    def url(self) -> str:
        return self.live.site.jobserver_url

    def commit(self, files: dict[str, str], message: str) -> str:
        """The study's branch is these files from now on."""
        return self.repo.commit(files, message)

    def command(self, *argv: str) -> str:
        """`carrel manage ...` where the controller runs."""
        env = self.live.site.controller_env(self.live.keys)
        return run([str(Path(sys.executable).with_name("carrel")), "manage", *argv], env)

    def in_job_server(self, source: str) -> str:
        """Python in the environment of the job server: what time does, or a night's command."""
        env = {**self.live.site.jobserver_env(self.live.keys), "DJANGO_SETTINGS_MODULE": "carrel.web.settings"}
        return run([sys.executable, "-c", f"import django; django.setup()\n{source}"], env)

    def leaks(self, *more: str) -> list[str]:
        """Where a secret can be read that nobody may find there: in a log, a mail, or the arguments of a process.

        `more`: secrets besides those of the site and everybody's password.
        """
        keys = self.live.keys
        secrets = [keys.django, keys.client, *keys.agents.values(), keys.jobserver, keys.password, PASSWORD, *more]
        texts = {str(path): path.read_bytes() for path in self.live.site.logs.iterdir()}
        texts |= {f"mail {number}: {mail['Subject']}": bytes(mail) for number, mail in enumerate(self.mailbox.messages)}
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                texts[str(process)] = process.read_bytes()
        assert any(texts[name] for name in texts if name.endswith(".log"))
        return [
            f"secret {number} in {name}"
            for number, secret in enumerate(secrets)
            for name, text in texts.items()
            if secret and secret.encode() in text
        ]

    def stop(self, name: str) -> Process:
        """End a process; nobody starts it again until `start`."""
        running = self.live.running
        process = next(process for process in running.processes if process.name == name)
        running.processes.remove(process)
        if process.popen:
            process.popen.terminate()
            process.popen.wait(30)
        return process

    def start(self, process: Process) -> None:
        process.start()
        self.live.running.processes.append(process)


@dataclass(frozen=True)
class Days(Installation):
    """An installation, and windows on it."""

    browser: Browser

    def visit(self, **options: Any) -> Visit:
        return Visit(self.browser, self.url, **options)

    def sign_in(self, visit: Visit, username: str, target: str = "") -> Page:
        """By the form, as everybody does; `target` is where an address asks to go then."""
        page = visit.open(f"/accounts/login/{target and f'?next={target}'}")
        page.locator("input[name=login]").fill(username)
        page.locator("input[name=password]").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page).to_have_url(f"{self.url}/")
        return page


@contextmanager
def installed(root: Path, toolchains: Path) -> Iterator[Installation]:
    """The installation, up; `west` runs, and the job server does not know it yet."""
    with mail_server() as mailbox:
        site = Site(
            root / "site",
            tuple(SiteBackend(name) for name in ("north", "south", "west")),
            port=free_port(),
            jobserver_port=free_port(),
            executor="bubblewrap",
            toolchains=toolchains,
            extra_env={"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(mailbox.port), "STATS_POLL_INTERVAL": "2"},
        )
        with live_site(site, root / "studies") as live:
            repo = new_repo(root / "studies" / "study")
            repo.commit({**FILES, "visits.py": ""}, "Draft of the study")
            repo.commit(FILES, "Count visits by plan")
            new_agent = live.running.processes.pop()
            assert new_agent.popen
            new_agent.popen.terminate()
            new_agent.popen.wait(30)
            made = Installation(live, repo, mailbox, new_agent)
            names = ("day", "keyboard", "plain", "phone", "platform", "lead")
            made.in_job_server(f"PASSWORD, REPO, WORKSPACES = {PASSWORD!r}, {repo.url!r}, {names!r}\n{PEOPLE}")
            yield made


def run(argv: list[str], env: dict[str, str]) -> str:
    done = subprocess.run(argv, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout

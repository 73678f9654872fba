"""`init`: from an empty database to a first run, by five questions or by flags."""

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import CommandError

from carrel.clients.rap import RapError
from carrel.jobserver import settings
from carrel.jobserver.first_site import (
    Answers,
    FirstSite,
    backends_of_controller,
    ensure_first_project,
    is_active,
    lay_out,
    link_problem,
    problem_of,
    repository_problem,
    start_run,
    succeeded,
    watch,
)
from carrel.jobserver.management.base import Parser, SiteCommand, actor, add_password_file, password_of
from carrel.jobserver.models import User
from carrel.jobserver.service import accounts, setup, tokens
from carrel.jobserver.service.setup import SetupError
from carrel.jobserver.service.submissions import SubmissionError
from carrel.jobserver.studies import StudyFault, StudyUnavailable

INTERRUPTED = 130
DEFAULT_PORT = 8000
"""Of `carrel web`."""
MINUTES = 10.0


class Command(SiteCommand):
    help = "Set up a new site: a person, a backend, a project, a workspace; then a first run. May be run again."

    def add_arguments(self, parser: Parser) -> None:
        parser.add_argument("--yes", action="store_true", help="ask nothing: flags, or what stands in brackets")
        parser.add_argument("--username", help="yours, to sign in with [admin]")
        parser.add_argument("--name", help="yours, as others read it [the username]")
        parser.add_argument("--backend", metavar="SLUG", help="the first backend [test]")
        parser.add_argument("--real-data", action="store_true", help="its data is of real people")
        parser.add_argument("--project", help="name of the first project [First study]")
        parser.add_argument("--repo", help="URL or path of the study [one that comes with Carrel]")
        parser.add_argument("--branch", default="main")
        parser.add_argument("--organisation", default="", help="yours")
        parser.add_argument("--no-run", action="store_true", help="end without a first run")
        parser.add_argument("--minutes", type=float, default=MINUTES, help="how long the first run may take [10]")
        add_password_file(parser)

    def handle(self, **options: Any) -> None:
        try:
            self.set_up(options)
        except KeyboardInterrupt as error:
            words = "Stopped. What was made stays, and a run goes on: the same command goes on from here."
            raise CommandError(f"\n{words}", returncode=INTERRUPTED) from error

    def set_up(self, options: dict[str, Any]) -> None:
        settings.get().workdir.mkdir(mode=0o700, parents=True, exist_ok=True)
        call_command("migrate", verbosity=0, interactive=False)
        name, address = settings.get().jobserver_name, django_settings.JOBSERVER_URL
        self.say(f"This sets up the job server {name!r} at {address} (JOBSERVER_NAME and JOBSERVER_URL).")
        who = actor()
        try:
            site = lay_out(self.answers(options), who)
        except (SetupError, ValidationError) as error:
            raise CommandError(str(error) if isinstance(error, SetupError) else " ".join(error.messages)) from error
        self.say(
            f"person     {site.person}",
            f"backend    {site.backend.slug}",
            f"project    {site.project} at {address}/{site.project.slug}/",
            f"workspace  {site.workspace} of {site.workspace.repo_url} @ {site.workspace.branch}",
        )
        if not site.backend.tokens.exists():
            token = tokens.create_backend_token(site.backend, who)
            self.say(
                "", f"The token of {site.backend.slug}, shown this once (its level 4 asks the job server with it):"
            )
            self.say(f"  {token}")
        self.say("", *self.next_steps(site, who))
        if not options["no_run"]:
            self.first_run(site, options["minutes"])

    def answers(self, options: dict[str, Any]) -> Answers:
        """Take flags, and ask for what is missing, unless --yes. An answer that cannot be is asked for again."""
        asks, who = not options["yes"], actor()

        def value(flag: str, question: str, default: str, problem: Callable[[str], str]) -> str:
            if options[flag] or not asks:
                return options[flag] or default
            while words := problem(answer := self.ask(question, default)):
                self.say(f"   {words}")
            return answer

        username = value(
            "username",
            "1. Your username",
            "admin",
            lambda username: problem_of(lambda: setup.ensure_person(username, actor=who)),
        )
        fullname = options["name"] or username
        password = password_of(options["password_file"])
        has_one = any(user.has_usable_password() for user in User.objects.filter(username=username))
        if asks and not options["name"]:
            fullname = self.ask("2. Your name", username)
        while asks and password is None and not has_one:
            typed = self.ask_secret("   Your password (12 characters at least; empty: a link to choose it): ")
            if not typed:
                break
            words = problem_of(partial(validate_password, typed, User(username=username, fullname=fullname)))
            if words:
                self.say(f"   {words}")
            else:
                password = typed
        if has_one and options["password_file"]:
            self.say(f"{username} has a password: `carrel manage set_password {username}` gives another.")
        backend = value(
            "backend",
            "3. Slug of the first backend (of made-up data)",
            self.usual_backend(),
            lambda slug: problem_of(lambda: setup.ensure_backend(slug, actor=who)),
        )
        project = value(
            "project",
            "4. Name of the first project",
            "First study",
            lambda name: problem_of(lambda: ensure_first_project(name, actor=who)),
        )
        own = "the study that comes with Carrel"
        repo = value(
            "repo",
            "5. Repository of the study, as URL or path",
            own,
            lambda repo: "" if repo == own else repository_problem(repo, options["branch"]),
        )
        return Answers(
            username=username,
            fullname=fullname,
            password=password,
            backend=backend,
            is_dummy=not options["real_data"],
            project=project,
            repo="" if repo == own else repo,
            branch=options["branch"],
            organisation=options["organisation"],
        )

    def usual_backend(self) -> str:
        """Return a backend that the controller has; `test` where it cannot be asked, or is not configured yet."""
        try:
            slugs = backends_of_controller("default") if settings.get().links["default"].rap_api_base_url else []
        except (RapError, KeyError):
            slugs = []
        return "test" if "test" in slugs or not slugs else slugs[0]

    def next_steps(self, site: FirstSite, who: str) -> list[str]:
        """Say what to type next: serve, sign in, join the controller."""
        port = urlsplit(django_settings.JOBSERVER_URL).port
        here = f" --port {port}" if port not in (None, DEFAULT_PORT) else ""
        steps = ["Next:", f"  carrel web{here} --with-sweep", f"  open {django_settings.JOBSERVER_URL}/accounts/login/"]
        if not site.person.has_usable_password():
            steps.append(f"  choose a password, within a day: {accounts.password_link(site.person, who)}")
        links = settings.get().links
        if not links[site.backend.controller].rap_api_base_url:
            steps += [
                "  no controller is configured yet: set RAP_API_BASE_URL, and RAP_API_TOKEN to what this prints there:",
                f"  carrel manage create_token client --backend {site.backend.slug}",
            ]
        if site.workspace.repo_url.startswith("/"):
            steps.append(
                "  the study is a path: ALLOW_LOCAL_GIT_REPOS=true here and for the controller, on one machine"
            )
        return steps

    def first_run(self, site: FirstSite, minutes: float) -> None:
        """Run the study, and say how it goes."""
        if not settings.get().links[site.backend.controller].rap_api_base_url:
            self.say("", "No first run: no controller is configured. Run this again when one is.")
            return
        if words := link_problem(site.backend):
            raise CommandError(f"No first run. {words} Run this again when that is mended.")
        try:
            run = start_run(site)
        except (SubmissionError, StudyFault, StudyUnavailable) as error:
            workspace = site.workspace
            words = repository_problem(workspace.repo_url, workspace.branch) or str(error)
            raise CommandError(f"The first run could not be asked for. {words}") from error
        self.say("", f"First run: {django_settings.JOBSERVER_URL}{run.get_absolute_url()}")
        for words in watch(run, site.backend, minutes * 60):
            self.say(f"  {words}")
        if is_active(run):
            raise CommandError(f"The first run goes on after {minutes:g} minutes: run this again to watch it.")
        if not succeeded(run):
            raise CommandError("The first run did not end well. Its page, and `carrel manage latest_jobs`, say why.")
        self.say("The first run succeeded: the site works.")

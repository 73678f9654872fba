"""`init`: from an empty database to a first run, by five questions or by flags."""

import getpass
from typing import Any

from django.conf import settings as django_settings
from django.core.management import call_command
from django.core.management.base import CommandError

from carrel.jobserver import settings
from carrel.jobserver.first_site import Answers, FirstSite, lay_out, start_run, succeeded, watch
from carrel.jobserver.management.base import Parser, SiteCommand, actor, add_password_file, password_of
from carrel.jobserver.service import accounts, tokens
from carrel.jobserver.service.setup import SetupError
from carrel.jobserver.service.submissions import SubmissionError
from carrel.jobserver.studies import StudyFault, StudyUnavailable

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
        settings.get().workdir.mkdir(mode=0o700, parents=True, exist_ok=True)
        call_command("migrate", verbosity=0, interactive=False)
        name, address = settings.get().jobserver_name, django_settings.JOBSERVER_URL
        self.say(f"This sets up the job server {name!r} at {address} (JOBSERVER_NAME and JOBSERVER_URL).")
        who = actor()
        try:
            site = lay_out(self.answers(options), who)
        except SetupError as error:
            raise CommandError(str(error)) from error
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
        """Take flags, and ask for what is missing, unless --yes."""
        asks = not options["yes"]

        def value(flag: str, question: str, default: str) -> str:
            return options[flag] or (self.ask(question, default) if asks else default)

        username = value("username", "1. Your username", "admin")
        fullname = options["name"] or username
        password = password_of(options["password_file"])
        if asks and not options["name"]:
            fullname = self.ask("2. Your name", username)
        if asks and password is None:
            password = (
                getpass.getpass("   Your password (12 characters at least; empty: a link to choose it): ") or None
            )
        backend = value("backend", "3. Slug of the first backend (of made-up data)", "test")
        project = value("project", "4. Name of the first project", "First study")
        own = "the study that comes with Carrel"
        repo = value("repo", "5. Repository of the study, as URL or path", own)
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

    def next_steps(self, site: FirstSite, who: str) -> list[str]:
        """Say what to type next: serve, sign in, join the controller."""
        steps = ["Next:", "  carrel web --with-sweep", f"  open {django_settings.JOBSERVER_URL}/accounts/login/"]
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
        try:
            run = start_run(site)
        except (SubmissionError, StudyFault, StudyUnavailable) as error:
            raise CommandError(f"The first run could not be asked for. {error}") from error
        self.say("", f"First run: {django_settings.JOBSERVER_URL}/{site.project.slug}/{site.workspace}/{run.pk}/")
        for words in watch(run, minutes * 60):
            self.say(f"  {words}")
        if not succeeded(run):
            raise CommandError("The first run did not end well. Its page, and `carrel manage latest_jobs`, say why.")
        self.say("The first run succeeded: the site works.")

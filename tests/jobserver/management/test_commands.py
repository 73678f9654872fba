"""Admin commands of the job server: a new site, persons, backends, tokens, passwords."""

import io
import re
from pathlib import Path

import pytest
from django.core.management import BaseCommand, CommandError, call_command, load_command_class
from django.test import Client
from tests.support.jobserver import PASSWORD, add_backend, add_person, add_project, browse

from carrel.jobserver import management
from carrel.jobserver import settings as own_settings
from carrel.jobserver.management.commands import init
from carrel.jobserver.models import AuditEvent, Backend, Project, RunGroup, User, Workspace
from carrel.jobserver.service.tokens import backend_of_token
from carrel.repos.git import Git
from carrel.repos.limits import Deadline
from carrel.repos.policy import RepoPolicy

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _workdir(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKDIR", str(tmp_path / "work"))
    own_settings.get.cache_clear()
    yield
    own_settings.get.cache_clear()


@pytest.fixture
def password_file(tmp_path: Path) -> str:
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\nsecond line\n")
    return str(path)


def manage(command: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()


class TestInit:
    def test_makes_a_whole_site_and_says_what_comes_next(self, password_file):
        said = manage("init", "--yes", "--username", "ann", "--password-file", password_file, "--organisation", "Port")
        ann = User.objects.get()
        assert ann.check_password(PASSWORD)
        assert Backend.objects.get().holds_dummy_data
        project, workspace = Project.objects.get(), Workspace.objects.get()
        assert (project.slug, workspace.name) == ("first-study", "first-study")
        assert list(project.backends.all()) == list(Backend.objects.all())
        assert project.organisations.get().name == "Port"
        token = next(line.strip() for line in said.splitlines() if line.strip().startswith("carrel_b_"))
        assert backend_of_token(token) == Backend.objects.get()
        for step in ("carrel web --with-sweep", "/accounts/login/", "create_token client --backend test"):
            assert step in said
        assert PASSWORD not in said
        assert {event.actor.partition(":")[0] for event in AuditEvent.objects.all()} == {"command line"}

    def test_the_study_that_comes_with_carrel_is_in_a_repository_of_this_site(self, tmp_path):
        manage("init", "--yes", "--no-run")
        repo = Workspace.objects.get().repo_url
        assert repo == str(tmp_path / "work" / "studies" / "first-study")
        git = Git(RepoPolicy(allow_local_git_repos=True), repo, Path(repo))
        files = git.local(["ls-tree", "-r", "--name-only", "main"], Deadline(60)).stdout.decode().split()
        assert files == ["analysis/count.py", "analysis/summarise.py", "project.yaml"]

    def test_may_be_run_again_and_shows_no_second_token(self):
        manage("init", "--yes", "--no-run")
        told = AuditEvent.objects.exclude(action="password_link.created").count()
        said = manage("init", "--yes", "--no-run")
        assert "carrel_b_" not in said
        assert AuditEvent.objects.exclude(action="password_link.created").count() == told

    def test_without_a_password_it_prints_a_link_to_choose_one(self):
        said = manage("init", "--yes", "--no-run")
        link = next(word for word in said.split() if "/password/reset/key/" in word)
        page = Client().get(link.removeprefix("http://127.0.0.1:8000"), follow=True).content.decode()
        assert "Choose a password" in page

    def test_asks_five_questions(self, monkeypatch):
        replies = iter(["ann", "Ann Lee", "north", "Health insurance", ""])
        asked: list[str] = []
        monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or next(replies))
        monkeypatch.setattr("getpass.getpass", lambda question: PASSWORD)
        manage("init", "--no-run")
        assert len(asked) == 5
        assert User.objects.get().fullname == "Ann Lee"
        assert Project.objects.get().slug == "health-insurance"

    def test_asks_again_for_what_cannot_be(self, monkeypatch, capsys, tmp_path):
        replies = iter(["a b", "ann", "", "No good", "north", "staff", "Health", str(tmp_path / "nowhere"), ""])
        secrets = iter(["short", PASSWORD])
        monkeypatch.setenv("ALLOW_LOCAL_GIT_REPOS", "true")
        monkeypatch.setattr("builtins.input", lambda question: next(replies))
        monkeypatch.setattr("getpass.getpass", lambda question: next(secrets))
        said = manage("init", "--no-run")
        for words in ("username: Letters", "at least 12", "slug: Enter", "address of a page", "Could not read from"):
            assert words in said
        assert (User.objects.get().username, Backend.objects.get().slug) == ("ann", "north")
        assert Project.objects.get().slug == "health"
        assert User.objects.get().check_password(PASSWORD)

    def test_goes_on_after_it_was_interrupted(self, monkeypatch, password_file):
        manage("init", "--yes", "--no-run")
        monkeypatch.setattr("builtins.input", lambda question: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(CommandError, match="goes on from here") as stopped:
            manage("init")
        assert stopped.value.returncode == 130
        manage("init", "--yes", "--no-run", "--password-file", password_file)
        assert User.objects.get().check_password(PASSWORD)
        said = manage("init", "--yes", "--no-run", "--password-file", password_file)
        assert "admin has a password" in said

    def test_stores_no_run_that_its_controller_would_not_take(self, monkeypatch):
        monkeypatch.setenv("RAP_API_BASE_URL", "http://127.0.0.1:9/controller/v1/")
        with pytest.raises(CommandError, match=r"No first run\. The controller at .* does not answer"):
            manage("init", "--yes")
        assert not RunGroup.objects.exists()

    def test_says_why_the_study_cannot_be_read(self, monkeypatch, tmp_path):
        monkeypatch.setenv("RAP_API_BASE_URL", "http://127.0.0.1:9/controller/v1/")
        monkeypatch.setattr(init, "link_problem", lambda backend: "")
        with pytest.raises(CommandError, match="ALLOW_LOCAL_GIT_REPOS=true"):
            manage("init", "--yes")
        monkeypatch.setenv("ALLOW_LOCAL_GIT_REPOS", "true")
        with pytest.raises(CommandError, match="Could not find branch 'nope'"):
            manage("init", "--yes", "--project", "Other", "--branch", "nope")

    def test_says_when_nobody_answers(self, monkeypatch):
        monkeypatch.setattr("builtins.input", lambda question: (_ for _ in ()).throw(EOFError))
        with pytest.raises(CommandError, match="--yes"):
            manage("init")

    def test_refuses_a_weak_password_and_makes_nothing(self, tmp_path):
        weak = tmp_path / "weak"
        weak.write_text("short\n")
        with pytest.raises(CommandError, match="at least 12"):
            manage("init", "--yes", "--password-file", str(weak))
        assert not User.objects.exists()


@pytest.mark.parametrize(("text", "why"), [(None, "cannot be read"), ("", "no password"), ("\nsecond", "no password")])
def test_a_password_file_without_a_password_is_refused(tmp_path, text, why):
    path = tmp_path / "file"
    if text is not None:
        path.write_text(text)
    with pytest.raises(CommandError, match=why):
        manage("add_person", "ann", "--password-file", str(path))


def test_a_password_is_read_from_stdin(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    manage("add_person", "ann", "--password-file", "-")
    assert User.objects.get().check_password(PASSWORD)


def test_add_person_gives_roles_everywhere_or_in_a_project():
    add_project("study")
    manage("add_person", "ann", "--name", "Ann Lee", "--email", "ann@example.org", "--role", "OutputChecker")
    manage("add_person", "ann", "--role", "ProjectLead", "--project", "study")
    ann = User.objects.get()
    given = sorted((row.role.name, row.project and row.project.slug) for row in ann.role_assignments.all())
    assert given == [("OutputChecker", None), ("ProjectLead", "study")]
    assert ann.project_memberships.count() == 1
    assert "link" not in manage("add_person", "bot", "--program")
    assert User.objects.get(username="bot").is_bot


def test_a_password_can_be_set_and_a_link_printed(password_file):
    ann = add_person("ann")
    client = browse(ann)
    manage("set_password", "ann", "--password-file", password_file)
    ann.refresh_from_db()
    assert ann.check_password(PASSWORD)
    assert client.get("/settings/").status_code == 302
    assert "/accounts/password/reset/key/" in manage("password_link", "ann")


def test_backends_and_their_tokens():
    add_person("ann")
    manage("add_backend", "north", "--name", "North", "--dummy-data", "--member", "ann")
    north = Backend.objects.get()
    assert (north.name, north.holds_dummy_data, north.is_listed) == ("North", True, False)
    assert north.members.get().username == "ann"
    first = manage("backend_token", "north").strip()
    second = manage("backend_token", "north", "--end-older", "0").strip()
    assert backend_of_token(first) is None
    assert backend_of_token(second) == north


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["add_person", "ann", "--role", "King"], "There is no role King"),
        (["add_person", "ann", "--project", "none"], "There is no project none"),
        (["add_person", "no spaces"], "Letters, digits"),
        (["add_backend", "No Slug"], "slug"),
        (["add_backend", "north", "--member", "nobody"], "no account nobody"),
        (["backend_token", "west"], "There are: north"),
        (["set_password", "nobody"], "no account nobody"),
        (["password_link", "closed"], "closed"),
    ],
)
def test_mistakes_get_a_sentence(arguments, why):
    add_backend("north")
    add_person("closed", is_active=False)
    with pytest.raises(CommandError, match=why):
        manage(*arguments)
    assert not User.objects.filter(username="ann").exists()


def test_every_command_and_option_is_explained():
    folder = Path(management.__path__[0]) / "commands"
    page = (Path(__file__).parents[3] / "docs" / "reference" / "job-server-commands.md").read_text()
    for name in sorted(path.stem for path in folder.glob("*.py") if path.stem not in ("__init__", "set_up_site")):
        assert re.search(rf"^## .*\b{name}\b", page, re.MULTILINE), f"{name} stands on no page"
        parser = load_command_class("carrel.jobserver", name).create_parser("carrel manage", name)
        usual = BaseCommand().create_parser("carrel manage", name)._option_string_actions
        options = {option for option in parser._option_string_actions if option.startswith("--")} - set(usual)
        assert [option for option in sorted(options) if option not in page] == []

"""Codelists, against a real HTTP server that answers as OpenCodelists does."""

import json
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest
from click.testing import CliRunner
from tests.support.http_server import Handler, running

from carrel.cli.codelists import codelists as command
from carrel.local.codelists import Codelists, CodelistsError, UpstreamChanged, parse
from carrel.project.codelists import sha_of


class OpenCodelists(ThreadingHTTPServer):
    """Serves `pages` (path -> (status, type, body)); answers the check by comparing with `current` manifest ids."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.pages = {}
        self.changed = []
        self.checks = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def publish(self, codelist, body, status=200, kind="text/csv"):
        self.pages[f"/codelist/{codelist}/download.csv"] = (status, kind, body)


class Answers(Handler):
    def do_GET(self):
        status, kind, body = self.server.pages.get(self.path, (404, "text/html", b"<html>Not found</html>"))
        self.send(status, body, {"Content-Type": kind})

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.checks.append((self.path, form))
        verdict = (
            {"status": "error", "data": {"changed": self.server.changed}} if self.server.changed else {"status": "ok"}
        )
        self.send(200, json.dumps(verdict).encode(), {"Content-Type": "application/json"})


@pytest.fixture
def server(monkeypatch):
    with running(OpenCodelists()) as http:
        monkeypatch.setenv("OPENCODELISTS_BASE_URL", http.url)
        yield http


@pytest.fixture
def study(tmp_path, server, monkeypatch):
    server.publish("org/asthma/v1", b"code,term\r\n1,asthma\r\n")
    server.publish("user/ann/copd/v2", b"code\n2\n")
    (tmp_path / "codelists").mkdir()
    (tmp_path / "codelists/codelists.txt").write_text("# mine\norg/asthma/v1\n\nuser/ann/copd/v2/\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def manifest(study):
    return json.loads((study / "codelists/codelists.json").read_text())["files"]


def test_update_fetches_every_codelist_and_writes_the_manifest(study, server):
    Codelists(study).update()
    assert (study / "codelists/org-asthma.csv").read_bytes() == b"code,term\r\n1,asthma\r\n"
    files = manifest(study)
    assert set(files) == {"org-asthma.csv", "user-ann-copd.csv"}
    assert files["org-asthma.csv"]["id"] == "org/asthma/v1"
    assert files["org-asthma.csv"]["url"] == f"{server.url}/codelist/org/asthma/v1/"
    assert files["org-asthma.csv"]["sha"] == sha_of(b"code,term\n1,asthma\n")


def test_update_twice_changes_nothing(study):
    Codelists(study).update()
    first = (study / "codelists/codelists.json").read_bytes()
    Codelists(study).update()
    assert (study / "codelists/codelists.json").read_bytes() == first


def test_update_gives_a_new_date_when_the_content_changed(study, server):
    Codelists(study).update()
    first = manifest(study)
    server.publish("org/asthma/v1", b"code\n9\n")
    Codelists(study).update()
    second = manifest(study)
    assert second["org-asthma.csv"]["downloaded_at"] > first["org-asthma.csv"]["downloaded_at"]
    assert second["user-ann-copd.csv"] == first["user-ann-copd.csv"]


def test_update_deletes_csv_files_that_are_not_listed(study):
    (study / "codelists/old.csv").write_text("code\n")
    (study / "codelists/notes.md").write_text("mine")
    Codelists(study).update()
    assert not (study / "codelists/old.csv").exists()
    assert (study / "codelists/notes.md").exists()


def test_update_changes_nothing_when_one_codelist_cannot_be_had(study, server):
    Codelists(study).update()
    server.publish("org/asthma/v1", b"code\n9\n")
    server.pages.pop("/codelist/user/ann/copd/v2/download.csv")
    before = {p.name: p.read_bytes() for p in (study / "codelists").iterdir()}
    with pytest.raises(CodelistsError, match="user/ann/copd/v2 was not found"):
        Codelists(study).update()
    assert {p.name: p.read_bytes() for p in (study / "codelists").iterdir()} == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("org/list", r"codelists.txt:1: org/list is not a codelist"),
        ("a/b/c\nuser/x/y", r"codelists.txt:2: user/x/y is not a codelist"),
        ("org/../v1", "is not a codelist"),
        ("a/b/c\n\na/b/c", "a/b/c is a duplicate of line 1"),
        ("a/b/c\na/b/d", "conflicts with version a/b/c on line 1"),
    ],
)
def test_bad_lines_are_refused_with_their_place(text, message):
    with pytest.raises(CodelistsError, match=message):
        parse(text)


def test_a_draft_is_refused(study, server):
    server.publish("org/asthma/v1", b"This version is a draft", status=400)
    with pytest.raises(CodelistsError, match="org/asthma/v1 is a draft"):
        Codelists(study).update()


def test_a_web_page_is_not_taken_for_a_codelist(study, server):
    server.publish("org/asthma/v1", b"<html>sign in</html>", kind="text/html; charset=utf-8")
    with pytest.raises(CodelistsError, match="is a web page"):
        Codelists(study).update()


def test_add_takes_the_address_of_the_page(study, server):
    server.publish("org/new/v3", b"code\n3\n")
    result = CliRunner().invoke(command, ["add", f"{server.url}/codelist/org/new/v3/#full-list"])
    assert result.exit_code == 0, result.output
    assert (study / "codelists/codelists.txt").read_text().endswith("org/new/v3\n")
    assert (study / "codelists/org-new.csv").read_bytes() == b"code\n3\n"


def test_add_in_a_study_with_no_codelists_yet(tmp_path, server):
    server.publish("org/new/v3", b"code\n3\n")
    Codelists(tmp_path).add("org/new/v3")
    assert (tmp_path / "codelists/codelists.txt").read_text() == "org/new/v3\n"


def test_add_of_a_second_version_changes_nothing(study, server):
    before = (study / "codelists/codelists.txt").read_text()
    with pytest.raises(CodelistsError, match="conflicts"):
        Codelists(study).add("org/asthma/v9")
    assert (study / "codelists/codelists.txt").read_text() == before


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "org-asthma.csv").write_text("code\n666\n"), "org-asthma.csv: changed since it was fetched"),
        (lambda f: (f / "org-asthma.csv").unlink(), "org-asthma.csv: missing"),
        (lambda f: (f / "extra.csv").write_text("x\n"), "extra.csv: not a listed codelist"),
        (lambda f: (f / "codelists.txt").write_text("org/asthma/v1\n"), "user/ann/copd/v2: fetched but no longer in"),
        (
            lambda f: (f / "codelists.txt").write_text("org/asthma/v1\nuser/ann/copd/v2\norg/b/v1\n"),
            "org/b/v1: in codelists.txt but not fetched",
        ),
        (lambda f: (f / "codelists.json").write_text("{"), "codelists.json cannot be read"),
    ],
)
def test_check_names_what_is_wrong(study, spoil, message):
    Codelists(study).update()
    spoil(study / "codelists")
    with pytest.raises(CodelistsError, match=message) as caught:
        Codelists(study).check()
    assert "carrel codelists update" in str(caught.value)


def test_check_does_not_mind_line_endings(study):
    Codelists(study).update()
    path = study / "codelists/org-asthma.csv"
    path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n"))
    Codelists(study).check()


def test_check_asks_upstream_with_both_files(study, server):
    Codelists(study).update()
    result = CliRunner().invoke(command, ["check"])
    assert (result.exit_code, result.output) == (0, "Codelists OK\n")
    path, form = server.checks[0]
    assert path == "/api/v1/check/"
    assert form["codelists"] == [(study / "codelists/codelists.txt").read_text()]
    assert form["manifest"] == [(study / "codelists/codelists.json").read_text()]


def test_a_change_upstream_fails_the_check(study, server, monkeypatch):
    monkeypatch.delenv("GITHUB_WORKFLOW", raising=False)
    Codelists(study).update()
    server.changed = ["org-asthma.csv"]
    with pytest.raises(UpstreamChanged, match=r"changed: org-asthma\.csv"):
        Codelists(study).check_upstream()
    assert isinstance(CliRunner().invoke(command, ["check"]).exception, UpstreamChanged)


def test_a_change_upstream_is_only_said_in_github_ci(study, server, monkeypatch):
    monkeypatch.setenv("GITHUB_WORKFLOW", "test")
    Codelists(study).update()
    server.changed = ["org-asthma.csv"]
    result = CliRunner().invoke(command, ["check"])
    assert result.exit_code == 0
    assert "org-asthma.csv" in result.output


def test_check_without_codelists_is_fine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(command, ["check"]).exit_code == 0
    assert CliRunner().invoke(command, ["check-upstream"]).exit_code == 0


def test_an_unreachable_server_is_a_sentence(study):
    with pytest.raises(CodelistsError, match="Could not reach"):
        Codelists(study, base="http://127.0.0.1:1").update()

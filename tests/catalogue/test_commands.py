"""`carrel catalogue`: built from a database, shown, put to a server, and made dummy data of."""

import json
from pathlib import Path
from typing import ClassVar

import click.testing
import duckdb
import pytest
from tests.support.http_server import Handler, serving

from carrel.catalogue.publication import CatalogueNotTaken, catalogue_address, publish, read_token
from carrel.cli.main import carrel
from carrel.messages.catalogue import Catalogue, dump_catalogue, parse_catalogue

NORTH = "duckdb://HERE/north.duckdb"
NOTES = "contact: data@example.org\ndatabases: {default: {data_sets: [{name: care, title: Care, tables: {visits: }}]}}"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("BACKEND", "DEFAULT_DATABASE_URL", "MOBILE_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with duckdb.connect("north.duckdb") as connection:
        connection.execute("CREATE TABLE visits (patient_id INTEGER, day DATE)")
        connection.execute("INSERT INTO visits SELECT range, '2020-01-01' FROM range(1234)")
        connection.execute("COMMENT ON COLUMN visits.day IS 'Of the visit.'; CREATE TABLE other (a INTEGER)")
    Path("notes.yaml").write_text(NOTES)
    Path("token").write_text("the-token\n")
    return tmp_path


def run(*args: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(carrel, ["catalogue", *args])


def build(here: Path, *args: str) -> click.testing.Result:
    return run("build", "--backend", "north", "--database", f"duckdb://{here}/north.duckdb", *args)


def test_a_catalogue_is_written_to_a_file_or_printed(here: Path) -> None:
    result = build(here, "--notes", "notes.yaml", "--output", "north.json")
    assert (result.exit_code, result.output) == (0, "north.json: 2 tables, 3 columns of north\n")
    catalogue = parse_catalogue(Path("north.json").read_bytes())
    assert (catalogue.backend, catalogue.contact) == ("north", "data@example.org")
    assert [data_set.name for data_set in catalogue.databases[0].data_sets] == ["care", "main"]
    assert parse_catalogue(build(here).stdout_bytes).backend == "north"


def test_databases_by_name_and_from_the_environment(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFAULT_DATABASE_URL", f"duckdb://{here}/north.duckdb")
    monkeypatch.setenv("MOBILE_DATABASE_URL", f"duckdb://{here}/north.duckdb?a=b")
    monkeypatch.setenv("BACKEND", "north")
    assert [database.name for database in parse_catalogue(run("build").stdout_bytes).databases] == ["default"]
    both = run("build", "--database", "mobile", "--database", f"x=duckdb://{here}/north.duckdb")
    assert [database.name for database in parse_catalogue(both.stdout_bytes).databases] == ["mobile", "x"]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--database", "mobile"], 2, "the database mobile has no address: set MOBILE_DATABASE_URL"),
        (["--database", "m=postgresql://u:hunter2@h/d"], 2, "set M_DATABASE_URL, and give --database m"),
        (["--database", "duckdb://HERE/x.duckdb"], 1, "the database default is not there"),
        (["--database", "mysql://h/d"], 1, "begins with none of"),
        (
            ["--database", NORTH, "--notes", "missing.yaml"],
            1,
            "the notes cannot be read: No such",
        ),
        (["--database", NORTH, "--notes", "north.duckdb"], 1, "north.duckdb is not UTF-8 text"),
        (["--database", NORTH, "--notes", "token"], 1, "token:1:1: the file: Input should be"),
        (
            ["--database", NORTH, "--backend", "a b"],
            1,
            "the catalogue cannot be made: backend String",
        ),
    ],
)
def test_what_cannot_be_built_is_said(here: Path, args: list[str], code: int, said: str) -> None:
    result = run("build", "--backend", "north", *(arg.replace("HERE", str(here)) for arg in args))
    assert (result.exit_code, said in result.output, "hunter2" in result.output) == (code, True, False), result.output


def test_notes_on_what_is_not_there_are_warnings(here: Path) -> None:
    Path("notes.yaml").write_text("databases: {default: {data_sets: [{name: a, tables: {vistis: }}]}}")
    result = build(here, "--notes", "notes.yaml", "--output", "north.json")
    assert result.exit_code == 0
    assert "warning: notes.yaml:1:54: no table is called vistis (did you mean `visits`?)" in result.output


def test_show(here: Path) -> None:
    build(here, "--notes", "notes.yaml", "--output", "north.json")
    whole = run("show", "north.json").output
    assert "database default (duckdb)\n  Care\n    main.visits  2 columns, rows: about 1,200, changed 20" in whole
    assert run("show", "north.json", "--table", "main.visits").output == (
        "main.visits  rows: about 1,200\n  patient_id  INTEGER\n  day         DATE     Of the visit.\n"
    )
    assert "main.other" not in run("show", "north.json", "--search", "visit").output
    missing = run("show", "north.json", "--table", "visit")
    assert (missing.exit_code, missing.output) == (1, "Error: no table is called visit (did you mean `visits`?)\n")


def test_show_says_what_a_table_asks_for(here: Path) -> None:
    Path("notes.yaml").write_text(
        "databases: {default: {data_sets: [{name: a, tables: {visits: {permission: p, description: Rows.}}}]}}"
    )
    build(here, "--notes", "notes.yaml", "--output", "north.json")
    assert "Rows.\nneeds the permission p\n" in run("show", "north.json", "--table", "visits").output


@pytest.mark.parametrize("text", ["", "{}", '{"backend": "north"}'])
def test_a_file_that_is_no_catalogue(here: Path, text: str) -> None:
    Path("bad.json").write_text(text)
    result = run("show", "bad.json")
    assert (result.exit_code, result.output[:16]) == (1, "Error: bad.json:")
    assert run("show", "missing.json").exit_code == 1


def test_dummy(here: Path) -> None:
    build(here, "--output", "north.json")
    result = run("dummy", "north.json", "--table", "visits", "--rows", "3", "--output", "dummy.csv")
    assert (result.exit_code, result.output) == (0, "dummy.csv: 3 rows of dummy data for main.visits\n")
    assert len(Path("dummy.csv").read_text().splitlines()) == 4
    refused = run("dummy", "north.json", "--table", "visits", "--output", "dummy.xlsx")
    assert (refused.exit_code, "of no kind" in refused.output) == (1, True)


# -- publish

CATALOGUE = Catalogue(backend="north", built="2026-12-01")


class Server(Handler):
    """A job server that answers as it is told, and remembers what it was sent."""

    status: ClassVar[int] = 200
    body: ClassVar[bytes] = b""
    headers_sent: ClassVar[dict[str, str]] = {}
    received: ClassVar[list[tuple[str, str | None, bytes]]] = []

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, self.headers["Authorization"], data))
        self.send(self.status, self.body, self.headers_sent)


def server(status: int = 200, body: bytes = b"", headers: dict[str, str] | None = None) -> type[Server]:
    return type("Told", (Server,), {"status": status, "body": body, "headers_sent": headers or {}, "received": []})


def test_publish_puts_the_document_with_the_backends_token(here: Path) -> None:
    Path("north.json").write_bytes(dump_catalogue(CATALOGUE))
    handler = server()
    with serving(handler) as url:
        result = run("publish", "north.json", "--to", f"{url}/", "--token-file", "token")
    assert (result.exit_code, result.output) == (0, "the job server has the catalogue of north\n")
    ((path, token, data),) = handler.received
    assert (path, token) == ("/api/v2/backends/north/catalogue", "the-token")
    assert json.loads(data) == {"format": 1, "backend": "north", "built": "2026-12-01"}


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, b'{"detail": "no \x1b[2J catalogue"}', 'refuses the catalogue (400): {"detail": "no  [2J catalogue"}'),
        (422, b"x" * 100_000, "refuses the catalogue (422): xxx"),
        (401, b"", "refuses the token for north: make a new one"),
        (403, b"", "refuses the token for north"),
        (404, b"", "has no backend north, or no place for it (http://"),
        (413, b"", "refuses the catalogue (413)"),
        (302, b"", "answers from another address"),
        (500, b"secret", "cannot take it just now (500): try again later"),
        (503, b"", "cannot take it just now (503)"),
    ],
)
def test_what_the_job_server_refuses_is_said(here: Path, status: int, body: bytes, said: str) -> None:
    Path("north.json").write_bytes(dump_catalogue(CATALOGUE))
    with serving(server(status, body, {"Location": "http://elsewhere.example/"} if status == 302 else None)) as url:
        result = run("publish", "north.json", "--to", url, "--token-file", "token")
    assert result.exit_code == 1
    assert said in result.output
    assert len(result.output) < 2_500
    assert "the-token" not in result.output


def test_a_server_that_is_not_there_is_said() -> None:
    with serving(server()) as url:
        pass
    with pytest.raises(CatalogueNotTaken, match=r"could not be reached \(ConnectError\): try again later"):
        publish(CATALOGUE, url, "the-token")


@pytest.mark.parametrize(
    "url", ["", "jobs.example.org", "ftp://h", "http://", "https://h?x=1", "https://u:p@h", "http://[h"]
)
def test_what_is_no_address_of_a_job_server(url: str) -> None:
    with pytest.raises(CatalogueNotTaken, match="--to must be the job server's address"):
        catalogue_address(url, "north")


@pytest.mark.parametrize("token", [b"", b"\n", b"two words", "tökën".encode(), b"x" * 5_000, b"a\nb"])
def test_files_that_hold_no_token(tmp_path: Path, token: bytes) -> None:
    (tmp_path / "token").write_bytes(token)
    with pytest.raises(CatalogueNotTaken, match="does not hold a token"):
        read_token(tmp_path / "token")
    with pytest.raises(CatalogueNotTaken, match="the file of the token cannot be read: No such file"):
        read_token(tmp_path / "missing")

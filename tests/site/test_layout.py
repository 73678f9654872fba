"""What a site notes of itself, and how it is known again."""

import json
import subprocess
from pathlib import Path

import pytest

from carrel.site.layout import Secrets, Site, SiteBackend, SiteError, load_site


def test_a_site_is_known_again_without_the_addresses_of_servers(tmp_path: Path) -> None:
    backends = (
        SiteBackend(
            "north", "delta:///srv/a warehouse", {"more": "duckdb:///srv/x.duckdb", "far": "postgresql://u:secret@h/d"}
        ),
        SiteBackend("south", "mssql+pymssql://u:secret@h/d"),
        SiteBackend("west"),
    )
    Site(tmp_path, backends, port=8123).describe()
    found = load_site(tmp_path)
    assert found.port == 8123
    assert {each.name: each.file_databases for each in found.backends} == {
        "north": {"default": "delta:///srv/a warehouse", "more": "duckdb:///srv/x.duckdb"},
        "south": {},
        "west": {},
    }
    note = tmp_path / "site.json"
    assert "secret" not in note.read_text()
    assert note.stat().st_mode & 0o777 == 0o600


def test_the_note_of_an_earlier_version_still_says_where_the_site_answers(tmp_path: Path) -> None:
    (tmp_path / "site.json").write_text(json.dumps({"port": 8123}))
    assert (load_site(tmp_path).port, load_site(tmp_path).backends) == (8123, ())


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"port": "x"}'])
def test_a_folder_that_is_no_site_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "site.json").write_text(text)
    with pytest.raises(SiteError, match="no site in"):
        load_site(tmp_path)


def test_processes_get_what_they_need_of_the_environment_and_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGLEVEL", "DEBUG")
    monkeypatch.setenv("OTEL_EXPORTER_CONSOLE", "1")
    monkeypatch.setenv("GITHUB_TOKEN", "of the laptop's owner")
    site = Site(tmp_path, (SiteBackend("north"),), port=8123)
    keys = Secrets("django", "client", {"north": "agent"})
    for env in (site.controller_env(keys), site.agent_env(site.backends[0], keys)):
        assert (env["LOGLEVEL"], env["OTEL_EXPORTER_CONSOLE"]) == ("DEBUG", "1")
        assert "of the laptop's owner" not in env.values()


def test_git_takes_nothing_of_a_site(tmp_path: Path) -> None:
    """Tokens and patient-level files lie in it, and people start it in a study's folder."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    site = Site(tmp_path / ".carrel", (SiteBackend("north"),))
    site.make_folders()
    Secrets.of(site)
    subprocess.run(["git", "-C", tmp_path, "add", "-A"], check=True)
    listed = subprocess.run(["git", "-C", tmp_path, "ls-files"], check=True, capture_output=True, text=True)
    assert listed.stdout == ""
    assert (tmp_path / ".carrel/secrets.json").exists()


def test_a_sites_folder_names_the_store_of_toolchains_that_it_shares(tmp_path: Path) -> None:
    for store in (tmp_path / "old", tmp_path / "new"):
        Site(tmp_path / "site", (), toolchains=store).make_folders()
        assert (tmp_path / "site/toolchains").resolve() == store
    Site(tmp_path / "own", ()).make_folders()
    assert not (tmp_path / "own/toolchains").is_symlink()

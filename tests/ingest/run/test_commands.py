"""The commands, as somebody at a terminal or a script meets them."""

import json

import pytest
from click.testing import CliRunner

from carrel.ingest.cli import COMMANDS, ingest


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    run(folder, "generate", str(folder / "study"), "--records", "12", "--fault", "nan=1", "--hz", "2")
    run(folder, "schemas", "add", str(folder / "study" / "schemas"))
    return folder


def run(folder, *words, code=0):
    environment = {
        "CARREL_WAREHOUSE": str(folder / "warehouse"),
        "CARREL_INGEST_SCHEMAS": str(folder / "schemas"),
    }
    mapping = folder / "study" / "mapping.yaml"
    if mapping.exists():
        environment["CARREL_INGEST_MAPPING"] = str(mapping)
    done = CliRunner().invoke(ingest, words, env=environment)
    assert done.exit_code == code, done.output
    return done.output


def test_from_archives_to_a_query_and_back_out(place, tmp_path):
    archives = str(place / "study" / "archives")
    metrics = tmp_path / "metrics.prom"
    first = run(place, "run", archives, "--workers", "0", "--json", "--metrics", str(metrics), code=3)
    report = json.loads(first)
    assert report["dispositions"]["partial"] == 1
    assert 'carrel_ingest_archives{disposition="partial"} 1.0' in metrics.read_text()
    assert json.loads(run(place, "run", archives, "--json"))["known"] == 12
    truth = json.loads((place / "study" / "truth.json").read_text())["tables"]
    tables = {row["name"]: row["rows"] for row in json.loads(run(place, "tables", "--json"))}
    assert tables == {name: len(table["rows"]) for name, table in truth.items()}
    assert "healthcode" in run(place, "tables", "ArchiveMetadata_v1")
    count = run(place, "sql", "select count(*) as n from ArchiveMetadata_v1", "--csv")
    assert count.split() == ['"n"', str(tables["ArchiveMetadata_v1"])]
    (line,) = json.loads(run(place, "quarantine", "list", "--json"))
    assert "json/nan" in run(place, "quarantine", "show", line["id"])
    assert json.loads(run(place, "quarantine", "list", "--json", "--stage", "schema")) == []
    assert "Everything is accounted for" in run(place, "reconcile", archives)
    run(place, "replay", archives, "--workers", "0", code=3)
    assert json.loads(run(place, "status", "--json"))["quarantined"] == 1
    assert "files" in run(place, "export", str(tmp_path / "out"))
    assert "withdrawn" in run(place, "export", str(tmp_path / "out"), code=1), "an earlier export keeps withdrawn rows"
    assert "MotionRecord_v1_1" in run(place, "archive", "MotionRecord_v1")
    run(place, "compact")
    assert "no file of the warehouse holds" in run(place, "withdraw", "--healthcode", "participant-0001", "--yes")
    run(place, "withdraw", "--yes", code=2)
    run(place, "tables", "NoSuch_v1", code=1)
    run(place, "sql", "selec", code=1)


def test_a_source_that_is_not_there_is_a_sentence(place):
    assert "there is no folder" in run(place, "run", str(place / "nowhere"), code=1)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_can_say_what_it_does(name, place):
    assert "Usage:" in run(place, name, "--help")


def test_every_command_is_documented():
    from pathlib import Path

    page = (Path(__file__).parents[3] / "docs" / "reference" / "ingest-commands.md").read_text()
    assert [name for name in COMMANDS if f"`{name}" not in page and name != "artifacts"] == []

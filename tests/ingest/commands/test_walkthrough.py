"""The pages for newcomers, word by word: every command is run, and prints what the page shows."""

import json
import zipfile
from contextlib import chdir

import duckdb
import polars
import pytest
from tests.support.walkthrough import Page, Reader, matches


def test_what_is_shown_matches_what_is_printed():
    assert matches("a  1\n...\nlast ... s", "a 1\nx\ny\nlast 0.3 s\n")
    assert matches("a\n...", "a\n")
    assert not matches("a\nb", "a\n")
    assert not matches("a", "a\nb\n")
    assert not matches("a ... c", "a b\nc\n")


@pytest.fixture
def reader(tmp_path):
    return Reader(tmp_path)


def test_the_tutorial(reader):
    page = Page.of("tutorial/first-ingest.md")
    steps = page.steps()
    assert len(steps) > 15
    for command, shown in steps:
        reader.does(command, shown)
    (program,) = page.in_language("python")
    assert "polars.read_delta" in program
    assert polars.read_delta(str(reader.folder / "warehouse/tables/MotionRecord_v1")).height > 1_000


def write_archive(folder, name, record, value, revision=1, app=12, system="iPhone OS"):
    """An archive of the how-tos' assessment `reaction`."""
    folder.mkdir(exist_ok=True)
    about = {
        "recordid": record,
        "assessmentid": "reaction",
        "assessmentrevision": str(revision),
        "healthcode": f"person-{record}",
        "uploadedon": "2024-01-01T00:00:00.000Z",
        "exportedon": "2024-01-02T00:00:00.000Z",
        "clientinfo": json.dumps({"appVersion": app, "osName": system}),
    }
    (folder / f"{name}.json").write_text(json.dumps(about))
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as made:
        made.writestr("metadata.json", "{}")
        made.writestr("reaction.json", json.dumps(value))


def answers(score):
    return {"startDate": "2024-01-01", "score": score, "trials": [{"ms": 310, "correct": True}, {"ms": 290}]}


@pytest.fixture
def reaction(reader):
    """Somebody who has added the study of the first how-to; with what each command printed."""
    page = Page.of("how-to/add-an-ingest-study.md")
    folder = reader.folder
    schema, archive_map = page.in_language("json")
    (mapping,) = page.in_language("yaml")
    (folder / "reaction.json").write_text(schema)
    (folder / "archive-map.json").write_text(archive_map)
    (folder / "mapping.yaml").write_text(mapping)
    for number in range(6):
        system = "Android" if number % 2 else "iPhone OS"
        write_archive(folder / "archives", f"a{number}", f"r{number}", answers(number), system=system)
    for command, shown in page.steps():
        if not command.startswith("mkdir"):
            reader.does(command, shown)
    return reader


def test_adding_a_study(reaction):
    assert reaction.code == 0


def test_changing_a_schema(reaction):
    page = Page.of("how-to/change-a-schema.md")
    folder = reaction.folder
    wide = (folder / "reaction.json").read_text().replace('"score": {"type": "integer"}', '"score": {"type": "number"}')
    (folder / "reaction-wide.json").write_text(wide)
    new_schemas, new_assessment = page.in_language("yaml")[0], page.in_language("json")[0]
    write_archive(folder / "archives", "b0", "s0", answers(7))
    write_archive(folder / "archives", "b1", "s1", answers(8))
    write_archive(folder / "archives", "b2", "s2", answers(1.5), app=14)
    for command, shown in page.steps():
        if "reaction-v2.json" in command:
            _second_version(folder, wide, new_schemas, json.loads(new_assessment))
        reaction.does(command, shown)
    tables = json.loads(reaction.does("carrel ingest tables --json"))
    assert {each["name"]: each["rows"] for each in tables} == {
        "Reaction_v1": 9, "Reaction_v1__trials": 18, "Reaction_v2": 1, "Reaction_v2__trials": 2,
    }  # fmt: skip


def _second_version(folder, schema, new_schemas, new_assessment):
    (folder / "reaction-v2.json").write_text(schema.replace("schemas/reaction.json", "schemas/v2/reaction.json"))
    old = (folder / "mapping.yaml").read_text()
    start, end = old.index("schemas:"), old.index("ignored:")
    (folder / "mapping.yaml").write_text(old[:start] + new_schemas + old[end:])
    archive_map = json.loads((folder / "archive-map.json").read_text())
    archive_map["assessments"].append(new_assessment)
    (folder / "archive-map.json").write_text(json.dumps(archive_map))
    write_archive(folder / "archives", "c0", "t0", answers(9), revision=2)


@pytest.mark.parametrize(
    ("policy", "code", "column", "variant"),
    [
        ("evolve", 0, "7 seven", None),
        ("variant", 0, "7 ", '"seven"'),
        ("quarantine", 3, "7", None),
        ("freeze", 3, "7", None),
    ],
)
def test_what_a_policy_does_with_another_kind(reaction, policy, code, column, variant):
    """The table of the second how-to."""
    folder = reaction.folder
    schema = (folder / "reaction.json").read_text()
    wider = schema.replace('"score": {"type": "integer"}', '"score": {"type": ["integer", "string"]}')
    (folder / "text.json").write_text(wider)
    mapping = (folder / "mapping.yaml").read_text()
    (folder / "mapping.yaml").write_text(mapping.replace("policy: evolve", f"policy: {policy}"))
    write_archive(folder / "archives", "b0", "s0", answers(7))
    reaction.does("carrel ingest run archives")
    reaction.does("carrel ingest schemas add text.json")
    write_archive(folder / "archives", "b1", "s1", answers("seven"))
    reaction.does("carrel ingest run archives")
    assert reaction.code == code
    rows = _rows(folder)
    assert " ".join("" if row["score"] is None else str(row["score"]) for row in rows) == column
    assert rows[-1].get("score_variant") == variant
    if code == 3:
        assert "types" in reaction.does("carrel ingest quarantine list --keyword kind")


def _rows(folder):
    rows = polars.read_delta(str(folder / "warehouse/tables/Reaction_v1")).to_dicts()
    return sorted((row for row in rows if row["recordid"].startswith("s")), key=lambda row: row["recordid"])


@pytest.fixture
def begun(reader):
    """Somebody who has done the tutorial up to its first run."""
    tutorial = Page.of("tutorial/first-ingest.md").steps()
    for command, _ in tutorial[: [command for command, _ in tutorial].index("echo $?")]:
        reader.does(command)
    return reader


def test_handing_tables_over(begun):
    page = Page.of("how-to/hand-tables-to-bridge-users.md")
    with (begun.folder / "study/mapping.yaml").open("a") as mapping:
        mapping.write("".join(page.in_language("yaml")))
    for command, shown in page.steps():
        begun.does(command, shown)
    (program,) = page.in_language("python")
    names = {}
    with chdir(begun.folder):
        exec(compile(program, "the page", "exec"), names)
        begun.does("carrel ingest withdraw --healthcode participant-0000 --yes")
        with duckdb.connect() as connection, chdir("exports/2024-06"):
            for question in page.in_language("sql")[0].split(";\n")[:-1]:
                assert connection.execute(question).fetchall()
    assert names["motion"].num_rows > 1_000


def test_withdrawing(begun):
    reader = begun
    for command, shown in Page.of("how-to/withdraw-a-participant.md").steps():
        reader.does(command, shown)

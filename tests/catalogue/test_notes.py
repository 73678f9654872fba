"""A backend's notes: what they say of a database, and every mistake in them with its line and column."""

import pytest

from carrel.catalogue.notes import NotesFile, described
from carrel.messages.catalogue import CatalogueColumn, CatalogueDatabase, CatalogueTable, DataSet, DataVersion
from carrel.project.model_files import ModelFileError
from carrel.units.limits import MAX_NOTES_BYTES


def table(name: str, *columns: str, schema: str | None = "main") -> CatalogueTable:
    listed = tuple(CatalogueColumn(name=column, type="INTEGER", description="Own.") for column in columns)
    version = DataVersion(version="1", date="2026-11-01")
    return CatalogueTable(
        name=name,
        schema_name=schema,
        description="Own.",
        columns=listed,
        rows=1_200,
        versions=(version,),
        changed="2026-11-01",
    )


TOLD = CatalogueDatabase(
    dialect="duckdb",
    search_path=("main",),
    data_sets=(
        DataSet(
            name="main", tables=(table("visits", "patient_id", "day"), table("patients", "patient_id"), table("log"))
        ),
        DataSet(name="vault", tables=(table("visits", "cost", schema="vault"), table("raw", schema="vault"))),
    ),
)
NOTES = """
description: |-
  Two lines
  of it.
access: Ask.
contact: data@example.org
dummy_data: Made up.
databases:
  default:
    hidden: [log, "vault.r*"]
    data_sets:
      - name: care
        title: Care
        description: What was done.
        access: Ask twice.
        tables:
          patients:
          main.visits:
            description: A row for each visit.
            permission: visits
            changed: 2026-11-20
            count_rows: false
            columns: {day: Of the visit.}
          "*visits":
            description: Never said of the first.
            columns: {patient_id: "Whose.", cost: "In euros."}
            hidden_columns: [cost]
      - name: elsewhere
        backends: [south]
        tables: {nothing: }
"""


def test_notes_are_laid_over_what_the_database_tells() -> None:
    catalogue, warnings = described("north", "2026-12-01", [TOLD], [NotesFile(NOTES, "notes.yaml")])
    assert warnings == []
    assert (catalogue.description, catalogue.contact) == ("Two lines\nof it.", "data@example.org")
    (database,) = catalogue.databases
    (care,) = database.data_sets
    assert (care.title, care.access, care.changed) == ("Care", "Ask twice.", "2026-11-20")
    patients, visits, vault = care.tables
    assert (patients.description, patients.rows, patients.permission) == ("Own.", 1_200, None)
    assert (visits.qualified_name, visits.description, visits.permission) == (
        "main.visits",
        "A row for each visit.",
        "visits",
    )
    assert (visits.rows_in_words, visits.changed, len(visits.versions)) == ("not counted", "2026-11-20", 1)
    assert {column.name: column.description for column in visits.columns} == {
        "patient_id": "Whose.",
        "day": "Of the visit.",
    }
    assert (vault.qualified_name, vault.description, vault.columns) == ("vault.visits", "Never said of the first.", ())


def test_tables_without_notes_stay_in_the_data_set_of_their_schema() -> None:
    text = "databases: {default: {complete: false, data_sets: [{name: main, tables: {patients: }}]}}"
    catalogue, _ = described("north", "2026-12-01", [TOLD], [NotesFile(text, "n")])
    (database,) = catalogue.databases
    assert {data_set.name: [listed.name for listed in data_set.tables] for data_set in database.data_sets} == {
        "main": ["patients"],
        "other": ["visits", "log"],
        "vault": ["visits", "raw"],
    }
    assert not database.is_complete


@pytest.mark.parametrize("text", ["", "# nothing\n", "{}"])
def test_without_notes_the_database_is_as_it_tells(text: str) -> None:
    catalogue, warnings = described("north", "2026-12-01", [TOLD], [NotesFile(text, "n")])
    assert (catalogue.databases, warnings) == ((TOLD,), [])
    assert described("north", "2026-12-01", [TOLD])[0] == catalogue


def test_notes_of_several_files_are_joined() -> None:
    files = [NotesFile("contact: A\ndescription: X", "a"), NotesFile("contact: A\ndescription: Y", "b")]
    catalogue, _ = described("north", "2026-12-01", [TOLD], files)
    assert (catalogue.contact, catalogue.description) == ("A", "X\n\nY")


STALE = """\
databases:
  defualt: {}
  default:
    data_sets:
      - name: care
        tables:
          patient: {description: Gone.}
          patients:
            columns: {patient_idd: x}
            hidden_columns: [nhs_number]
          "gone*": {columns: {anything: x}}
"""


def test_notes_on_what_is_not_there_are_warnings() -> None:
    _, warnings = described("north", "2026-12-01", [TOLD], [NotesFile(STALE, "notes.yaml")])
    assert {warning.severity for warning in warnings} == {"warning"}
    assert [str(warning) for warning in warnings] == [
        "notes.yaml:2:3: no database is called defualt (did you mean `default`?)",
        "notes.yaml:7:11: no table is called patient (did you mean `patients`?)",
        "notes.yaml:9:23: no column of patients is called patient_idd (did you mean `patient_id`?)",
        "notes.yaml:10:30: no column of patients is called nhs_number",
        "notes.yaml:11:11: no table is called gone*",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("descriptoin: x", "n:1:14: `descriptoin` is no key that is known here"),
        ("description: 3", "n:1:14: description: Input should be a valid string"),
        ("databases: []", "n:1:12: databases: Input should be a valid dictionary"),
        ("databases:\n  default:\n    data_sets:\n      - title: x", "n:4:9: `name` is missing"),
        ("databases: {default: {complete: perhaps}}", "n:1:33: complete: Input should be a valid boolean"),
        (
            "databases: {default: {data_sets: [{name: a, tables: {t: {changed: 2026-13-01}}}]}}",
            "n:1:67: changed: is no date",
        ),
        ("databases: {default: {data_sets: [{name: a, tables: {t: {values: [1]}}}]}}", "n:1:66: `values` is no key"),
        ("- a", "n:1:1: the file: Input should be a valid dictionary"),
        ("a: b: c", "n:1:5: mapping values are not allowed"),
        ("contact: a\ncontact: b", 'n:2:1: found duplicate key "contact"'),
        ("a: &x [*x]", "n:1:8: found alias 'x' inside"),
        ("[" * 30, "n:1:21: lists and mappings are nested"),
        ("contact: \x1b[2J", "n:1:10: control characters are not allowed"),
        ('contact: "\\e[2J"', "n:1:10: contact: String should match pattern"),
        ("x" * (MAX_NOTES_BYTES + 1), "n:1:1: the file is longer than 4 MiB"),
    ],
)
def test_every_mistake_has_its_place(text: str, said: str) -> None:
    with pytest.raises(ModelFileError) as error:
        NotesFile(text, "n")
    assert str(error.value).startswith(said)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ModelFileError) as error:
        NotesFile("contact: 1\naccess: 2\nother: 3", "n")
    assert len(error.value.problems) == 3

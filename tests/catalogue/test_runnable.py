"""Which action can run on which backend, by its SQL and the backends' catalogues."""

import argparse

import pytest

from carrel.catalogue.reading import Missing
from carrel.catalogue.runnable import OK, SQLRUNNER_OPTIONS, DataCheck, DataState, runnable, sql_file_of
from carrel.messages.catalogue import Catalogue, CatalogueColumn, CatalogueDatabase, CatalogueTable, DataSet
from carrel.project import RunCommand, load_pipeline
from carrel.sqlrunner.main import parser
from carrel.units.limits import MAX_SQL_BYTES, MAX_STUDY_SQL_BYTES


def catalogue(backend: str, permission: str | None = None, **tables: str) -> Catalogue:
    listed = tuple(
        CatalogueTable(
            name=name, columns=tuple(CatalogueColumn(name=column) for column in columns.split()), permission=permission
        )
        for name, columns in tables.items()
    )
    database = CatalogueDatabase(dialect="duckdb", data_sets=(DataSet(name="all", tables=listed),))
    return Catalogue(backend=backend, built="2026-12-01", databases=(database,))


NORTH = catalogue("north", tests="patient_id sgss_status")
SOUTH = catalogue("south", tests="patient_id")
STUDY = """
version: '5'
actions:
  extract:
    run: sqlrunner:v1 ./analysis/tests.sql --output output/tests.csv --dummy-data-file dummy.csv
    outputs: {highly_sensitive: {a: output/tests.csv}}
  cohort:
    run: ehrql:v1 generate-dataset analysis/dataset.py --output output/dataset.csv
    outputs: {highly_sensitive: {a: output/dataset.csv}}
  table:
    run: python:v2 python table.py
    needs: [extract]
    outputs: {moderately_sensitive: {a: output/table.csv}}
  figure:
    run: python:v2 python figure.py
    needs: [table, cohort]
    outputs: {moderately_sensitive: {a: output/figure.svg}}
  model:
    run: python:v2 python model.py
    needs: [cohort]
    outputs: {moderately_sensitive: {a: output/model.csv}}
  sums:
    run: python:v2 python sums.py
    outputs: {moderately_sensitive: {a: output/sums.csv}}
"""
FILES = {"analysis/tests.sql": "SELECT patient_id, sgss_status FROM tests"}


def checks(text=STUDY, files=FILES, **catalogues: Catalogue | None) -> dict[tuple[str, str], DataCheck]:
    return runnable(load_pipeline(text, "project.yaml"), files.get, catalogues)


def test_a_missing_column_is_named() -> None:
    here = checks(north=NORTH, south=SOUTH)
    assert here["extract", "north"] == OK
    assert here["extract", "south"].missing == (Missing("column", "sgss_status", ("tests",)),)
    assert here["extract", "south"].sentence("south") == "south has no `sgss_status` in `tests`"
    assert not here["extract", "south"].can_run


def test_what_needs_it_is_told_too_at_any_distance() -> None:
    here = checks(north=NORTH, south=SOUTH)
    assert [here[name, "south"].state for name in ("table", "figure", "sums")] == ["blocked", "blocked", "ok"]
    assert here["figure", "south"].sentence("south") == "needs `extract`, which cannot run on south"
    assert here["table", "north"] == OK


def test_other_programs_are_not_checked_and_disable_nothing() -> None:
    here = checks(north=NORTH)
    assert here["cohort", "north"].sentence("north") == "not checked: what ehrql reads is not looked into"
    assert here["model", "north"].sentence("north") == "not checked: needs `cohort`, which was not checked"
    assert here["figure", "north"].state is DataState.NOT_CHECKED
    assert all(check.can_run for check in here.values())
    assert OK.sentence("north") == ""


def test_a_backend_without_a_catalogue_is_not_checked() -> None:
    here = checks(east=None)
    assert here["extract", "east"].sentence("east") == "not checked: the backend has no catalogue"
    assert here["sums", "east"] == OK


def test_of_many_missing_names_one_is_said() -> None:
    here = checks(files={"analysis/tests.sql": "SELECT a, b, c FROM tests"}, south=SOUTH)
    assert here["extract", "south"].sentence("south") == "south has no `a` in `tests`, and 2 more"


def test_what_a_table_asks_for_is_told_with_the_action_that_reads_it() -> None:
    here = checks(north=catalogue("north", "sgss", tests="patient_id sgss_status"))
    assert here["extract", "north"].permissions == ("sgss",)
    assert here["table", "north"].permissions == ()


def test_another_database_than_the_default_one() -> None:
    database = NORTH.databases[0].model_copy(update={"name": "mobile"})
    both = NORTH.model_copy(update={"databases": (database,)})
    pipeline = load_pipeline(STUDY, "project.yaml")
    assert runnable(pipeline, FILES.get, {"north": both}, database="mobile")["extract", "north"] == OK
    said = runnable(pipeline, FILES.get, {"north": both})["extract", "north"].sentence("north")
    assert said == "not checked: the backend's catalogue tells nothing of the database default"


PLACED = """
version: '5'
run_on: {exclude: [west]}
actions:
  extract:
    run:
      north: sqlrunner:v1 north.sql --output output/a.csv
      south: sqlrunner:v1 south.sql --output output/a.csv
    outputs: {highly_sensitive: {a: output/a.csv}}
  only_south:
    run_on: [south]
    run: python:v2 python x.py
    needs: [extract]
    outputs: {moderately_sensitive: {a: output/b.csv}}
"""


def test_each_backend_has_its_own_command_and_actions() -> None:
    files = {"north.sql": "select patient_id from tests", "south.sql": "select zz from tests"}
    here = checks(PLACED, files, north=NORTH, south=SOUTH, west=SOUTH)
    assert {place: check.state.value for place, check in here.items()} == {
        ("extract", "north"): "ok",
        ("extract", "south"): "missing",
        ("only_south", "south"): "blocked",
    }


def test_a_pipeline_that_was_projected_already() -> None:
    pipeline = load_pipeline(STUDY, "project.yaml").for_backend("tpp")
    assert runnable(pipeline, FILES.get, {"south": SOUTH})["extract", "south"].state is DataState.MISSING


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ("sqlrunner:v1 a.sql --output o.csv", "a.sql"),
        ("sqlrunner:v1 --output o.csv --dummy-data-file=d.csv 'b c.sql'", "b c.sql"),
        ("sqlrunner:v1 --out o.csv ./x/../a.sql", None),
        ("sqlrunner:v1 --out o.csv -- -a.sql", "-a.sql"),
        ("sqlrunner:v1 --output o.csv ./a.sql", "a.sql"),
        ("sqlrunner:v1 --output o.csv /a.sql", None),
        ("sqlrunner:v1 --output o.csv", None),
        ("sqlrunner:v1 a.sql b.sql --output o.csv", None),
        ("sqlrunner:v1 a.sql --output", None),
        ("sqlrunner:v1 a.sql --help", None),
        ("sqlrunner:v1 a.sql --dsn duckdb:///x --output o.csv", None),
        ("ehrql:v1 generate-dataset a.py", None),
    ],
)
def test_the_sql_file_of_a_command(command: str, path: str | None) -> None:
    if path is not None:
        assert sql_file_of(RunCommand.parse(command)) == path
        return
    with pytest.raises(ValueError, match=r"sqlrunner takes|not in the study|--dsn|not looked into"):
        sql_file_of(RunCommand.parse(command))


def test_the_options_are_sqlrunners_own() -> None:
    actions = [action for action in parser()._actions if not isinstance(action, argparse._HelpAction)]
    assert tuple(option for action in actions for option in action.option_strings) == SQLRUNNER_OPTIONS
    assert [action.dest for action in actions if not action.option_strings] == ["query"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "analysis/tests.sql is no text file of the study"),
        ({"analysis/tests.sql": "selec"}, "it holds a statement that is no SELECT"),
        ({"analysis/tests.sql": " " * (MAX_SQL_BYTES + 1)}, "the SQL is longer than 256 KiB"),
        ({"analysis/tests.sql": " " * (MAX_STUDY_SQL_BYTES + 1)}, "the study has more than 8 MiB of SQL"),
    ],
)
def test_sql_that_cannot_be_read_is_not_checked(files: dict[str, str], said: str) -> None:
    assert checks(files=files, south=SOUTH)["extract", "south"].sentence("south") == f"not checked: {said}"


def test_what_there_was_no_time_for_is_not_checked() -> None:
    pipeline = load_pipeline(STUDY, "project.yaml")
    check = runnable(pipeline, FILES.get, {"south": SOUTH}, is_late=lambda: True)["extract", "south"]
    assert check.is_late
    assert check.sentence("south") == "not checked: there was no time for it yet"
    assert not runnable(pipeline, FILES.get, {"south": SOUTH})["extract", "south"].is_late


def test_each_file_is_read_once() -> None:
    asked: list[str] = []
    study = STUDY.replace(
        "cohort:\n    run: ehrql:v1 generate-dataset analysis/dataset.py",
        "cohort:\n    run: sqlrunner:v1 analysis/tests.sql",
    )
    runnable(load_pipeline(study, "p"), lambda path: asked.append(path), {"north": NORTH, "south": SOUTH})
    assert asked == ["analysis/tests.sql"]


def test_a_long_chain_of_needs() -> None:
    names = ["extract", *(f"a{number}" for number in range(2_000))]
    links = "".join(
        f"  a{number}:\n    run: python:v2 python {number}.py\n    needs: [{names[number]}]\n"
        f"    outputs: {{moderately_sensitive: {{a: output/{number}.csv}}}}\n"
        for number in range(2_000)
    )
    assert checks(STUDY + links, south=SOUTH)["a1999", "south"].needs == "extract"

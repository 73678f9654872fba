"""What databases tell of themselves: DuckDB files, Delta warehouses, PostgreSQL; and those that tell nothing."""

import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from tests.support.postgres import Cluster, running_cluster
from tests.support.warehouses import add_commit, make_warehouse, write_state

from carrel.catalogue.databases import DatabaseUnreadable, database_at, has_password
from carrel.messages.catalogue import CatalogueDatabase, CatalogueTable
from carrel.warehouse.views import PROPERTY, TableView

DUCKDB_SQL = """
CREATE TABLE visits (patient_id INTEGER NOT NULL, s STRUCT(f INTEGER), "odd "" name" DATE);
INSERT INTO visits SELECT range, NULL, NULL FROM range(1234);
COMMENT ON TABLE visits IS 'A row for each visit.';
COMMENT ON COLUMN visits.patient_id IS 'Whose it is.';
CREATE VIEW recent AS SELECT patient_id FROM visits;
CREATE SCHEMA "or""d";
CREATE TABLE "or""d"."ta""b" (a BOOLEAN);
"""


def tables(database: CatalogueDatabase) -> dict[str, CatalogueTable]:
    return {table.qualified_name: table for table in database.tables}


@pytest.fixture(scope="module")
def duckdb_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "with space.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(DUCKDB_SQL)
    return path


def test_a_duckdb_file(duckdb_file: Path) -> None:
    database = database_at(f"duckdb://{str(duckdb_file).replace(' ', '%20')}", "default")
    assert (database.dialect, database.search_path) == ("duckdb", ("main",))
    assert [data_set.name for data_set in database.data_sets] == ["main", 'or"d']
    visits = tables(database)["main.visits"]
    assert (visits.description, visits.rows_in_words) == ("A row for each visit.", "about 1,200")
    assert [(column.name, column.type, column.nullable, column.description) for column in visits.columns] == [
        ("patient_id", "INTEGER", False, "Whose it is."),
        ("s", "STRUCT(f INTEGER)", True, ""),
        ('odd " name', "DATE", True, ""),
    ]
    assert visits.changed is not None
    assert visits.changed.endswith("Z")
    assert tables(database)["main.recent"].rows_in_words == "not counted"
    assert tables(database)['or"d.ta"b'].has_few_rows


@pytest.mark.parametrize("slashes", ["duckdb://", "duckdb:///"])
def test_three_slashes_or_four(duckdb_file: Path, slashes: str) -> None:
    assert database_at(f"{slashes}{duckdb_file}", "default").data_sets


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.duckdb").write_text("nothing of the kind")
    with pytest.raises(DatabaseUnreadable, match="cannot be read as a DuckDB file"):
        database_at(f"duckdb://{tmp_path}/x.duckdb", "default")
    with pytest.raises(DatabaseUnreadable, match="the database default is not there"):
        database_at(f"duckdb://{tmp_path}/missing.duckdb", "default")


@pytest.mark.parametrize("url", ["", "x", "mysql://h/d", "sqlite:///x", "file:///x"])
def test_addresses_of_no_database_that_is_known(url: str) -> None:
    with pytest.raises(DatabaseUnreadable, match="begins with none of delta, duckdb, mssql"):
        database_at(url, "default")


@pytest.mark.parametrize(
    ("url", "has"),
    [
        ("duckdb:///a.duckdb", False),
        ("postgresql://u@h/d", False),
        ("postgresql://u:p@h/d", True),
        ("postgresql://h/d?user=u&password=p", True),
        ("postgresql://[h/d", True),
    ],
)
def test_passwords_are_seen(url: str, has: bool) -> None:
    assert has_password(url) is has


# -- Delta


def test_a_warehouse(tmp_path: Path) -> None:
    root = make_warehouse(tmp_path)
    add_commit(root, "Motion__samples", 2, x=[1.5] * 150, when=["a"] * 150)
    database = database_at(f"delta://{root}", "mobile")
    assert (database.name, database.dialect, database.search_path) == ("mobile", "duckdb", ())
    assert [data_set.name for data_set in database.data_sets] == ["Motion", "Weather"]
    motion, samples = tables(database)["Motion"], tables(database)["Motion__samples"]
    assert [version.version for version in motion.versions] == ["1", "0"]
    assert motion.changed == motion.versions[0].date
    assert motion.has_few_rows
    assert samples.rows == 200
    assert [(column.name, column.type) for column in samples.columns] == [("x", "DOUBLE"), ("when", "VARCHAR")]


def test_what_a_run_under_way_has_written_is_not_told(tmp_path: Path) -> None:
    root = make_warehouse(tmp_path)
    add_commit(root, "Motion", 3)
    add_commit(root, "Later", 3)
    write_state(root, 3, "open")
    told = tables(database_at(f"delta://{root}", "default"))
    assert set(told) == {"Motion", "Weather"}
    assert [version.version for version in told["Motion"].versions] == ["1", "0"]


def test_versions_that_the_address_fixes(tmp_path: Path) -> None:
    told = tables(database_at(f"delta://{make_warehouse(tmp_path)}?versions=Motion=0", "default"))
    assert set(told) == {"Motion"}
    assert [version.version for version in told["Motion"].versions] == ["0"]


def test_versions_that_changed_no_data_are_left_out(tmp_path: Path) -> None:
    root = make_warehouse(tmp_path)
    DeltaTable(str(root / "tables" / "Motion")).optimize.compact()
    told = tables(database_at(f"delta://{root}", "default"))["Motion"]
    assert [version.version for version in told.versions] == ["1", "0"]


def test_views_are_tables_too(tmp_path: Path) -> None:
    view = TableView("dataset_motion", "Motion", "x AS record_x")
    path = str(tmp_path / "tables" / "Motion")
    write_deltalake(path, pa.table({"x": [1]}))
    DeltaTable(path).alter.set_table_properties({PROPERTY: view.as_property()}, raise_if_not_exists=False)
    told = database_at(f"delta://{tmp_path}", "default")
    assert [column.name for column in tables(told)["dataset_motion"].columns] == ["record_x"]
    assert "BridgeDownstream" in tables(told)["dataset_motion"].description


def test_tables_alike_but_for_case_have_the_names_that_sql_has(tmp_path: Path) -> None:
    for name in ("Motion", "motion"):
        add_commit(tmp_path, name)
    assert all(name.lower().startswith("motion_") for name in tables(database_at(f"delta://{tmp_path}", "default")))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("nothing", "holds no Delta table"),
        ("state", "state"),
        ("log", "cannot be opened"),
        ("versions", "invalid literal"),
    ],
)
def test_warehouses_that_cannot_be_described(tmp_path: Path, damage: str, said: str) -> None:
    url = f"delta://{tmp_path}"
    if damage != "nothing":
        make_warehouse(tmp_path)
    if damage == "state":
        (tmp_path / "_runs/state.json").write_text("[]")
    if damage == "log":
        (tmp_path / "tables/Motion/_delta_log/00000000000000000001.json").write_text("{")
    if damage == "versions":
        url += "?versions=Motion=x"
    with pytest.raises(DatabaseUnreadable, match=rf"the warehouse of default cannot be described: .*{said}"):
        database_at(url, "default")


def test_without_the_library_for_delta_it_is_said_how_to_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_warehouse(tmp_path)
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(DatabaseUnreadable, match="Delta tables cannot be read here: install it"):
        database_at(f"delta://{tmp_path}", "default")


# -- servers

POSTGRES_SQL = """
CREATE ROLE reader LOGIN;
CREATE SCHEMA vault; CREATE SCHEMA shut;
CREATE TABLE public.visits (patient_id integer NOT NULL, note varchar(20), "When" timestamptz, tags text[],
    point point);
COMMENT ON TABLE public.visits IS 'A row for each visit.';
COMMENT ON COLUMN public.visits.note IS 'What was said.';
INSERT INTO public.visits SELECT g FROM generate_series(1, 1234) g;
ANALYZE public.visits;
CREATE VIEW vault.recent AS SELECT patient_id FROM public.visits;
CREATE TABLE public.hidden (a integer);
CREATE TABLE shut.hidden (a integer);
GRANT USAGE ON SCHEMA public, vault TO reader;
GRANT SELECT ON public.visits, vault.recent TO reader;
GRANT SELECT ON shut.hidden TO reader;
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as cluster:
        cluster.execute(POSTGRES_SQL)
        yield cluster


@pytest.mark.postgresql
def test_postgresql_tells_what_the_log_in_may_read(cluster: Cluster) -> None:
    url = cluster.url("postgres").replace("postgres@", "reader@")
    database = database_at(url, "default")
    assert (database.dialect, database.search_path) == ("postgres", ("public",))
    assert set(tables(database)) == {"public.visits", "vault.recent"}
    visits = tables(database)["public.visits"]
    assert (visits.description, visits.rows_in_words) == ("A row for each visit.", "about 1,200")
    columns = {column.name: column for column in visits.columns}
    assert {name: column.type for name, column in columns.items()} == {
        "patient_id": "INTEGER",
        "note": "VARCHAR(20)",
        "When": "TIMESTAMP WITH TIME ZONE",
        "tags": "TEXT[]",
        "point": "",
    }
    assert (columns["note"].description, columns["patient_id"].nullable) == ("What was said.", False)
    assert tables(database)["vault.recent"].rows_in_words == "not counted"


@pytest.mark.postgresql
@pytest.mark.parametrize("name", ["reader", "nobody"])
def test_a_log_in_that_is_refused_is_said_without_the_address(cluster: Cluster, name: str) -> None:
    url = cluster.url("missing").replace("postgres@", f"{name}:hunter2@")
    with pytest.raises(DatabaseUnreadable) as error:
        database_at(url, "default")
    assert str(error.value) == "the database default did not answer, or refused the log-in (OperationalError)"


@pytest.mark.parametrize("url", ["postgresql://h:port/d", "mssql://h:port/d"])
def test_an_address_that_cannot_be_read(url: str) -> None:
    with pytest.raises(DatabaseUnreadable, match="the address of the database default cannot be read"):
        database_at(url, "default")


def test_a_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymssql", None)
    with pytest.raises(DatabaseUnreadable, match="this installation cannot speak to mssql: install it"):
        database_at("mssql://h/d", "default")

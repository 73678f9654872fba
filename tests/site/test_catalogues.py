"""A site's backends say what data they have: in its folder, and to its job server."""

import runpy
from pathlib import Path

import duckdb
import pytest
from tests.support.warehouses import make_warehouse

from carrel.catalogue.files import read_catalogues
from carrel.catalogue.runnable import runnable
from carrel.messages.catalogue import parse_catalogue
from carrel.project import load_pipeline
from carrel.site.catalogues import NOTES, catalogue_of, dummy_catalogue, write_catalogues
from carrel.site.examples import EXAMPLES, INSURANCE
from carrel.site.layout import Site, SiteBackend, SiteError


@pytest.fixture
def north(tmp_path: Path) -> SiteBackend:
    with duckdb.connect(str(tmp_path / "north.duckdb")) as connection:
        connection.execute("CREATE TABLE visits (day DATE)")
    warehouse = make_warehouse(tmp_path / "warehouse")
    return SiteBackend("north", f"duckdb://{tmp_path}/north.duckdb", {"mobile": f"delta://{warehouse}"})


def test_a_backend_tells_of_all_its_databases(north: SiteBackend, tmp_path: Path) -> None:
    notes = tmp_path / "notes.yaml"
    notes.write_text("contact: data@example.org")
    catalogue = catalogue_of(north, [notes])
    names = {database.name: [table.name for table in database.tables] for database in catalogue.databases}
    assert names == {"default": ["visits"], "mobile": ["Motion", "Weather"]}
    assert catalogue.contact == "data@example.org"


@pytest.mark.parametrize("scheme", ["duckdb", "parquet"])
def test_a_database_that_cannot_be_described_is_a_fault_of_the_site(tmp_path: Path, scheme: str) -> None:
    with pytest.raises(SiteError, match="the catalogue of north cannot be made: "):
        catalogue_of(SiteBackend("north", f"{scheme}://{tmp_path}/nothing"))


def test_catalogues_lie_in_the_sites_folder(north: SiteBackend, tmp_path: Path) -> None:
    told: list[str] = []
    site = Site(
        tmp_path / "site", (north, SiteBackend("empty"), SiteBackend("broken", f"duckdb://{tmp_path}/x.duckdb"))
    )
    site.root.mkdir()
    documents = write_catalogues(site, [], told.append)
    assert read_catalogues([site.catalogues]).keys() == documents.keys() == {"north"}
    assert parse_catalogue((site.catalogues / "north.json").read_bytes()).backend == documents["north"]["backend"]
    assert [text.partition(":")[0] for text in told] == ["the catalogue of broken cannot be made"]


def test_backends_without_data_tell_of_what_the_examples_ask_for(tmp_path: Path) -> None:
    site = Site(tmp_path / "site", (SiteBackend("north"), SiteBackend("south")))
    site.root.mkdir()
    told: list[str] = []
    assert write_catalogues(site, [], told.append, dummies=EXAMPLES).keys() == {"north", "south"}
    catalogues = read_catalogues([site.catalogues])
    verdicts: dict[tuple[str, str, str], str] = {}
    for study in EXAMPLES:
        pipeline = load_pipeline((study.folder / "project.yaml").read_text(), known_backends=tuple(catalogues))
        for backend, catalogue in catalogues.items():
            checks = runnable(
                pipeline.for_backend(backend),
                lambda path, folder=study.folder: (folder / path).read_text(),
                {backend: catalogue},
                database=study.dummy_database,
            )
            verdicts |= {
                (study.name, action, backend): check.sentence(backend) for (action, _), check in checks.items()
            }
    assert told == []
    assert {key: words for key, words in verdicts.items() if words} == {
        ("self-rated-health", "extract", "south"): "south has no `health` in `person_years`",
        ("self-rated-health", "visits_by_health", "south"): "needs `extract`, which cannot run on south",
    }


def test_dummy_tables_have_the_columns_of_the_real_ones(tmp_path: Path) -> None:
    """Both stand in files of the example: one makes a site's databases, the other describes what they would hold."""
    columns = ["mdvis", "lncoins", "idp", "lpi", "fmde", "physlm", "disea", "hlthg", "hlthf", "hlthp"]
    (tmp_path / "data.csv").write_text(f"{','.join(columns)}\n{','.join(['1'] * len(columns))}\n")
    load_data = runpy.run_path(str(INSURANCE.folder / "load_data.py"))
    for backend in ("north", "south"):
        load_data["make"](tmp_path / f"{backend}.duckdb", tmp_path / "data.csv", load_data[backend.upper()])
        real = catalogue_of(SiteBackend(backend, f"duckdb://{tmp_path}/{backend}.duckdb"), [INSURANCE.folder / NOTES])
        dummy = dummy_catalogue(backend, [INSURANCE])
        names = [
            {table.name: {column.name for column in table.columns} for table in catalogue.databases[0].tables}
            for catalogue in (real, dummy)
        ]
        assert names[0] == names[1]

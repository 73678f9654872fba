"""A site's backends say what data they have: in its folder, and to its job server."""

from pathlib import Path

import duckdb
import pytest
from tests.support.warehouses import make_warehouse

from carrel.catalogue.files import read_catalogues
from carrel.messages.catalogue import parse_catalogue
from carrel.site.catalogues import catalogue_of, write_catalogues
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

"""Looking for data in all backends' catalogues: what comes first, and the bounds."""

from carrel.catalogue.search import MAX_COLUMNS_SHOWN, search
from carrel.messages.catalogue import Catalogue, CatalogueColumn, CatalogueDatabase, CatalogueTable, DataSet


def table(name: str, description: str = "", **columns: str) -> CatalogueTable:
    listed = tuple(CatalogueColumn(name=column, description=text) for column, text in columns.items())
    return CatalogueTable(name=name, description=description, columns=listed)


def catalogue(backend: str, *tables: CatalogueTable, title: str = "", description: str = "") -> Catalogue:
    data_set = DataSet(name="set", title=title, description=description, tables=tables)
    database = CatalogueDatabase(dialect="duckdb", data_sets=(data_set,))
    return Catalogue(backend=backend, built="2026-12-01", databases=(database,))


NORTH = catalogue(
    "north",
    table("visits", "Visits to a doctor.", patient_id="Whose.", cost="In euros."),
    table("visits_old"),
    table("all_visits"),
    table("people", "Who visits.", patient_id="Named in VISITS."),
    table("weather"),
)
SOUTH = catalogue("south", table("visits"), table("beds", visits="How many."), title="Hospital stays")


def names(text: str, *catalogues: Catalogue) -> list[str]:
    return [f"{hit.backend}.{hit.table.name}" for hit in search(catalogues, text).hits]


def test_names_come_before_descriptions_and_exact_ones_first() -> None:
    assert names("Visits", NORTH, SOUTH) == [
        "north.visits",
        "south.visits",
        "north.visits_old",
        "north.all_visits",
        "south.beds",
        "north.people",
    ]


def test_every_word_must_be_somewhere() -> None:
    assert names("visits euros", NORTH, SOUTH) == ["north.visits"]
    assert names("visits nothing", NORTH, SOUTH) == []
    assert names("hospital", NORTH, SOUTH) == ["south.beds", "south.visits"]
    assert names("", NORTH) == names("  ", NORTH) == []


def test_the_columns_that_were_meant_are_told() -> None:
    (hit,) = search([NORTH], "euros").hits
    assert [column.name for column in hit.columns] == ["cost"]
    assert (hit.database.name, hit.data_set.name) == ("default", "set")


def test_what_is_said_of_a_data_set_counts_for_its_tables() -> None:
    assert names("oncology", catalogue("east", table("a"), description="Oncology wards.")) == ["east.a"]


def test_bounds() -> None:
    many = catalogue(
        "north", *(table(f"visits{number}", **{f"visits{at}": "" for at in range(30)}) for number in range(100))
    )
    hits = search([many], "visits", limit=7)
    assert (len(hits.hits), hits.total) == (7, 100)
    assert len(hits.hits[0].columns) == MAX_COLUMNS_SHOWN
    assert names("visits " + "x" * 10_000, NORTH) == []
    assert names("visits " * 20, NORTH)[0] == "north.visits"

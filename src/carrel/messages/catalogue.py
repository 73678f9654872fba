"""What a backend says of its data: which tables and columns studies may query there. Never a value of the data.

A catalogue is one JSON document of a backend. It is made where the data is, and put to the job server
(`PUT /api/v2/backends/<slug>/catalogue`), which holds the SQL of studies against it. The format is a contract:
`format` is its version, keys that are not known are refused, and numbers of rows that are not rounded are, too.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from carrel.units.limits import (
    MAX_BACKEND_NAME,
    MAX_CATALOGUE_BYTES,
    MAX_CATALOGUE_COLUMNS,
    MAX_CATALOGUE_NAME,
    MAX_CATALOGUE_TABLES,
    MAX_CATALOGUE_TEXT,
    MAX_CATALOGUE_VERSIONS,
)

CATALOGUE_FORMAT: Literal[1] = 1
ROWS_STEP = 100
"""Numbers of rows are multiples of this; fewer rows are said to be few."""
MAX_FAULTS = 20
"""Faults of one catalogue that an error lists."""
DEFAULT_DATABASE = "default"

SqlDialect = Literal["duckdb", "postgres", "tsql", "trino"]
"""The SQL that a database understands, as sqlglot calls it; `tsql` is SQL Server's."""

_NO_CONTROLS = r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]*$"
CatalogueName = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_CATALOGUE_NAME, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")
]
CatalogueText = Annotated[str, StringConstraints(max_length=MAX_CATALOGUE_TEXT, pattern=_NO_CONTROLS)]


def _is_date(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is no date that there is") from None
    return text


CatalogueDate = Annotated[
    str,
    StringConstraints(pattern=r"^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?$"),
    AfterValidator(_is_date),
    Field(description="A day, or a second in UTC", examples=["2026-11-22", "2026-11-22T05:06:20Z"]),
]


class CatalogueError(ValueError):
    """The text is no catalogue: what is wrong, and at which keys. Holds nothing of the text but names of keys."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CatalogueColumn(_Part):
    """One column. `type` is in the words of its database."""

    name: CatalogueName
    type: CatalogueText = ""
    description: CatalogueText = ""
    nullable: bool = True


class DataVersion(_Part):
    """One version of a table's data, as the backend counts them."""

    version: CatalogueName
    date: CatalogueDate


class CatalogueTable(_Part):
    """One table or view, under the name by which SQL calls it."""

    name: CatalogueName
    schema_name: CatalogueName | None = Field(default=None, description="SQL's schema, where the database has schemas")
    description: CatalogueText = ""
    columns: tuple[CatalogueColumn, ...] = Field(default=(), max_length=MAX_CATALOGUE_COLUMNS)
    rows: int | None = Field(
        default=None, ge=ROWS_STEP, description=f"Rounded to a multiple of {ROWS_STEP}; null: few, or not counted"
    )
    has_few_rows: bool = Field(
        default=False, description=f"It was counted, and has fewer than {ROWS_STEP}: possibly none"
    )
    versions: tuple[DataVersion, ...] = Field(default=(), max_length=MAX_CATALOGUE_VERSIONS, description="Newest first")
    changed: CatalogueDate | None = Field(default=None, description="When its data last changed")
    permission: CatalogueName | None = Field(
        default=None, description="What a project needs to query it, beside the backend"
    )

    @field_validator("rows")
    @classmethod
    def _is_rounded(cls, rows: int | None) -> int | None:
        if rows is not None and rows % ROWS_STEP:
            raise ValueError(f"is not rounded: write a multiple of {ROWS_STEP}, so that no exact count is published")
        return rows

    @model_validator(mode="after")
    def _columns_differ(self) -> Self:
        _refuse_twice("column", (column.name for column in self.columns))
        return self

    @property
    def qualified_name(self) -> str:
        return f"{self.schema_name}.{self.name}" if self.schema_name else self.name

    @property
    def rows_in_words(self) -> str:
        """`about 12,300`, `fewer than 100`, or `not counted`."""
        if self.rows is not None:
            return f"about {self.rows:,}"
        return f"fewer than {ROWS_STEP}" if self.has_few_rows else "not counted"


class DataSet(_Part):
    """Tables that belong together, as a reader looks for them."""

    name: CatalogueName
    title: CatalogueText = ""
    description: CatalogueText = ""
    access: CatalogueText = Field(default="", description="How to be given access; empty: as the backend says")
    tables: tuple[CatalogueTable, ...] = Field(default=(), max_length=MAX_CATALOGUE_TABLES)

    @property
    def changed(self) -> str | None:
        """When any of its tables last changed."""
        return max((table.changed for table in self.tables if table.changed), default=None)


class CatalogueDatabase(_Part):
    """One database that requests may name; `default` where they name none."""

    name: CatalogueName = DEFAULT_DATABASE
    dialect: SqlDialect
    search_path: tuple[CatalogueName, ...] = Field(
        default=(), max_length=100, description="Schemas in which SQL finds a table named without one; none: in all"
    )
    is_complete: bool = Field(default=True, description="Whether a table that is not listed is not there for studies")
    data_sets: tuple[DataSet, ...] = Field(default=(), max_length=MAX_CATALOGUE_TABLES)

    @model_validator(mode="after")
    def _tables_differ(self) -> Self:
        _refuse_twice("data set", (data_set.name for data_set in self.data_sets))
        _refuse_twice("table", (table.qualified_name for table in self.tables))
        return self

    @property
    def tables(self) -> Iterator[CatalogueTable]:
        return (table for data_set in self.data_sets for table in data_set.tables)


class Catalogue(_Part):
    """The data of one backend that studies may query."""

    format: Literal[1] = CATALOGUE_FORMAT
    backend: Annotated[str, StringConstraints(max_length=MAX_BACKEND_NAME, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
    built: CatalogueDate = Field(description="When it was made from the data")
    description: CatalogueText = ""
    access: CatalogueText = Field(default="", description="How to be given access to this backend")
    contact: CatalogueText = Field(default="", description="Whom to ask")
    dummy_data: CatalogueText = Field(default="", description="Where data comes from that stands in for the real one")
    databases: tuple[CatalogueDatabase, ...] = Field(default=(), max_length=100)

    @model_validator(mode="after")
    def _is_within_bounds(self) -> Self:
        _refuse_twice("database", (database.name for database in self.databases))
        tables = [table for database in self.databases for table in database.tables]
        columns = sum(len(table.columns) for table in tables)
        if len(tables) > MAX_CATALOGUE_TABLES:
            raise ValueError(f"has {len(tables):,} tables, more than {MAX_CATALOGUE_TABLES:,}: hide some in the notes")
        if columns > MAX_CATALOGUE_COLUMNS:
            raise ValueError(f"has {columns:,} columns, more than {MAX_CATALOGUE_COLUMNS:,}: hide some in the notes")
        return self

    def database(self, name: str = DEFAULT_DATABASE) -> CatalogueDatabase | None:
        """Return the database of that name; None where the catalogue has none."""
        return next((database for database in self.databases if database.name == name), None)


def _refuse_twice(kind: str, names: Iterator[str]) -> None:
    """Refuse names that repeat. Not those alike but for case: some databases tell them apart."""
    if twice := next((name for name, count in Counter(names).items() if count > 1), None):
        raise ValueError(f"has two entries for {kind} {twice!r}: each {kind} is listed once")


def rounded_rows(count: int) -> dict[str, Any]:
    """Return the two fields of a table that say how many rows it has, without saying how many exactly.

    Fewer than `ROWS_STEP` are said to be few. More are rounded to `ROWS_STEP`, and from 10,000 on to two digits: so the
    rows of a person who comes or goes are seen in no number but by chance.
    """
    if count < ROWS_STEP:
        return {"rows": None, "has_few_rows": True}
    step = max(ROWS_STEP, 10 ** (len(str(count)) - 2))
    return {"rows": max(ROWS_STEP, (count + step // 2) // step * step), "has_few_rows": False}


def parse_catalogue(data: str | bytes) -> Catalogue:
    """Read a catalogue from its JSON; CatalogueError names each fault, the keys that lead to it, and what to write."""
    if len(data) > MAX_CATALOGUE_BYTES:
        raise CatalogueError(
            f"the catalogue is longer than {MAX_CATALOGUE_BYTES // 2**20} MiB: hide tables in the notes"
        )
    try:
        return Catalogue.model_validate_json(data)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        shown = [(_keys(fault["loc"]), fault["msg"].removeprefix("Value error, ")) for fault in faults[:MAX_FAULTS]]
        lines = [f"{keys}: {message}" for keys, message in shown]
        more = [f"... and {len(faults) - MAX_FAULTS} more"] if len(faults) > MAX_FAULTS else []
        raise CatalogueError("\n".join([*lines, *more])) from None


def _keys(path: tuple[int | str, ...]) -> str:
    """Write `databases[0].data_sets[2].name`; keys that the text made up are cut short, and steer no terminal."""
    written = ""
    for key in path:
        if isinstance(key, int):
            written += f"[{key}]"
        else:
            written += f".{key[:40]}"
    return "".join(letter if letter.isprintable() else "?" for letter in written).lstrip(".") or "catalogue"


def dump_catalogue(catalogue: Catalogue) -> bytes:
    """Write a catalogue as JSON, the same bytes for the same catalogue; what says nothing is left out."""
    text = catalogue.model_dump_json(indent=1, exclude_defaults=True)
    return f'{{\n "format": {CATALOGUE_FORMAT},{text[1:]}\n'.encode()

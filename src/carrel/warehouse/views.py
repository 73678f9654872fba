"""Views: a table under another name, with other columns.

What is said of one stands in its table's Delta log, as the property `carrel.bridge`: JSON of `name`, the view's name,
and `select`, the list that stands between SELECT and FROM in DuckDB's SQL. So a version of the table has the view that
belongs to its columns, and whoever may read the table needs nothing else.
"""

import json
from dataclasses import dataclass

from carrel.warehouse.names import quoted

PROPERTY = "carrel.bridge"
_START = "dataset_"


@dataclass(frozen=True, slots=True)
class TableView:
    """A native table under the contract's name and columns; `select` is what stands between SELECT and FROM."""

    name: str
    table: str
    select: str

    @classmethod
    def of_property(cls, table: str, text: str | None) -> "TableView | None":
        """Return the view that a table's property describes, None when it has none. ValueError when it is damaged."""
        if not text:
            return None
        try:
            fields = json.loads(text)
            return cls(str(fields["name"]), table, str(fields["select"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"the property {PROPERTY} of table {table} is damaged") from error

    def as_property(self) -> str:
        """Return the text of the table's property."""
        return json.dumps({"name": self.name, "select": self.select}, ensure_ascii=False)

    def sql(self, table: str | None = None) -> str:
        """Return the statement that makes it, in DuckDB, where its table is called `table` (None: by its own name)."""
        source = quoted(self.table if table is None else table)
        return f"CREATE TEMP VIEW {quoted(self.name)} AS SELECT {self.select} FROM {source}"  # noqa: S608 (our own text)


def root_name(dataset: str) -> str:
    """Return a dataset's first table's name in BridgeDownstream: `dataset_{id}`, in lower case."""
    return f"{_START}{dataset.lower()}"


def may_be_view_of(table: str, name: str) -> bool:
    """Tell whether a view of this name can be of that table, so that not every table need be opened."""
    return name.startswith(_START + table.partition("__")[0].casefold())

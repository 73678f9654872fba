"""`naming: bridge` without a second copy of the rows: each table as a view in DuckDB's SQL, the same cell by cell.

How a view is kept with its table: `carrel.warehouse.views`.
"""

from carrel.ingest.tables.bridge import Bridge, Origin, root_name
from carrel.ingest.tables.schema import DatasetSchema
from carrel.warehouse.names import quoted
from carrel.warehouse.views import TableView


def bridge_views(schema: DatasetSchema) -> dict[str, str]:
    """Native table -> the text of its property. Of two tables with one name, the first from the root down has it.

    SQL does not tell names apart by case: of two columns that differ by it alone, the second keeps its native name. It
    has no empty names: a key that is empty, at the root, is not in the view.
    """
    bridge = Bridge(schema)
    taken = {name.casefold() for name in schema.tables}
    views: dict[str, str] = {}
    for native, name in bridge.names.items():
        if name.casefold() not in taken:
            taken.add(name.casefold())
            origins = [(column, origin) for column, origin in bridge.origins(native) if origin.column]
            columns = zip(_tell_apart(origins), origins, strict=True)
            select = ", ".join(f"{_sql(origin)} AS {quoted(column)}" for column, (_, origin) in columns)
            views[native] = TableView(name, native, select).as_property()
    return views


def names_there(schema: DatasetSchema) -> dict[str, str]:
    """Native table -> the contract's name, whether it is taken or not; the root's also where nothing is built yet."""
    return {schema.dataset: root_name(schema.dataset)} | Bridge(schema).names


def _tell_apart(origins: list[tuple[str, Origin]]) -> list[str]:
    """The columns' names in SQL. Of names that differ by case alone, the one that is the native one too keeps it, else
    the first."""
    folded = {name.casefold() for name, _ in origins}
    native = {origin.column.casefold() for name, origin in origins if name == origin.column}
    taken: set[str] = set()
    names = []
    for name, origin in origins:
        if name == origin.column:
            names.append(name)
            taken.add(name.casefold())
            continue
        avoided = folded | taken
        chosen = name if name and name.casefold() not in taken | native else origin.column
        while chosen != name and chosen.casefold() in avoided:
            chosen += "_"
        taken.add(chosen.casefold())
        names.append(chosen)
    return names


def _sql(origin: Origin) -> str:
    column = quoted(origin.column)
    if origin.how == "key":
        return _hash(column)
    if origin.how == "array":
        return f"CASE WHEN {column} IS NOT NULL THEN {_hash(quoted('_row_key'))} END"
    return f"CAST({column} AS VARCHAR)" if origin.how == "partition" else column


def _hash(key: str) -> str:
    """63 bits of the key's SHA-256, as `Bridge` makes `id`."""
    return f"CAST(CAST('0x' || left(sha256({key}), 16) AS UBIGINT) >> 1 AS BIGINT)"

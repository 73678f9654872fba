"""One schema out of many: the catalog's and those of all parts of a run."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from carrel.ingest.tables import kinds
from carrel.ingest.tables.names import Field, names_of
from carrel.ingest.tables.schema import ChangeKind, Column, DatasetSchema, Policy, TableChange, TableSchema

_REJECTING = (Policy.QUARANTINE, Policy.FREEZE)
"""Policies under which a variant column is only a worker's note of files to reject."""


def unify(
    known: DatasetSchema | None, found: Iterable[DatasetSchema], policy: Policy = Policy.EVOLVE, run_id: str = ""
) -> tuple[DatasetSchema, tuple[TableChange, ...]]:
    """The schema that fits `known` (the catalog's) and every one of `found`, and what changed against `known`.

    The order of `found` does not matter. `run_id` becomes `since` of new columns and is noted in the changes.
    A ValueError when there is neither `known` nor any of `found`, or they are of several datasets.
    """
    parts = list(found)
    names = {each.dataset for each in ([known] if known else []) + parts}
    if len(names) != 1:
        raise ValueError(f"schemas of one dataset can be unified, not of {len(names)}")
    if known and policy is Policy.FREEZE:
        return known, ()
    before = known or DatasetSchema(names.pop())
    grouped: dict[str, list[TableSchema]] = {name: [] for name in before.tables}
    for part in parts:
        for table in part.tables.values():
            grouped.setdefault(table.name, []).append(table)
    tables = {
        name: unified_table(before.tables.get(name), group, policy, run_id) for name, group in sorted(grouped.items())
    }
    after = DatasetSchema(before.dataset, tables)
    return after, tuple(_changes(before, after, run_id))


@dataclass(slots=True)
class _Seen:
    kinds: set[str] = field(default_factory=set)
    declared: set[str] = field(default_factory=set)


def unified_table(known: TableSchema | None, found: list[TableSchema], policy: Policy, run_id: str) -> TableSchema:
    """One table of `unify`."""
    fixed = known.by_field if known else {}
    seen: dict[Field, _Seen] = {}
    for table in ([known] if known else []) + found:
        for column in table.columns:
            if policy not in _REJECTING or column.field.role != "variant" or column.field in fixed:
                _note(seen, column)
    columns = {place: _settled(place, each, fixed.get(place), policy, run_id) for place, each in seen.items()}
    if policy is Policy.VARIANT:
        columns |= {each.field: each for each in _variants(columns, fixed, run_id)}
    declared = {place.path for place, each in seen.items() if each.declared}
    named = names_of(columns, declared, {place: column.name for place, column in fixed.items()})
    renamed = (replace(column, name=named[place]) for place, column in columns.items())
    is_child = (known or found[0]).is_child
    name = (known or found[0]).name
    return TableSchema(name, tuple(sorted(renamed, key=lambda column: column.name)), is_child)


def _note(seen: dict[Field, _Seen], column: Column) -> None:
    mine = seen.setdefault(column.field, _Seen())
    mine.kinds.update(column.kinds)
    if column.declared:
        mine.declared.add(column.declared)


def _settled(place: Field, seen: _Seen, known: Column | None, policy: Policy, run_id: str) -> Column:
    declared = kinds.join_all(sorted(seen.declared)) if seen.declared else None
    if policy is Policy.EVOLVE or place.role:
        kind = kinds.column_kind(
            kinds.join_all(sorted(seen.kinds | seen.declared | ({known.kind} if known else set())))
        )
    else:
        kind = kinds.settled_kind(seen.kinds, known.kind if known else declared)
    return Column(place, "", kind, tuple(sorted(seen.kinds)), declared, known.since if known else run_id)


def _variants(columns: dict[Field, Column], known: dict[Field, Column], run_id: str) -> Iterator[Column]:
    """The columns for what does not fit a column's kind; once there, they stay."""
    for place, column in columns.items():
        beside = Field(place.path, "variant")
        misfits = not place.role and not all(kinds.fits(kind, column.kind) for kind in column.kinds)
        if misfits and beside not in columns:
            yield Column(beside, "", kinds.STRING, (kinds.STRING,), None, run_id)


def _changes(before: DatasetSchema, after: DatasetSchema, run_id: str) -> Iterator[TableChange]:
    for name, table in after.tables.items():
        old = before.tables.get(name)
        if old is None:
            yield TableChange(ChangeKind.NEW_TABLE, name, run_id=run_id)
            continue
        for column in table.columns:
            yield from _column_changes(name, old.by_field.get(column.field), column, run_id)


def _column_changes(table: str, old: Column | None, new: Column, run_id: str) -> Iterator[TableChange]:
    at = (table, *new.field)
    if old is None:
        yield TableChange(ChangeKind.NEW_COLUMN, *at, None, new.kind, run_id)
        return
    if old.kind != new.kind:
        widened = kinds.is_widening(old.kind, new.kind)
        yield TableChange(ChangeKind.WIDENING if widened else ChangeKind.KIND_CHANGE, *at, old.kind, new.kind, run_id)
    if old.name != new.name:
        yield TableChange(ChangeKind.RENAME, *at, old.name, new.name, run_id)

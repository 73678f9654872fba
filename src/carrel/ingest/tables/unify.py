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
    names = {schema.dataset for schema in ([known] if known else []) + parts}
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
        name: unify_table(before.tables.get(name), group, policy, run_id) for name, group in sorted(grouped.items())
    }
    after = DatasetSchema(before.dataset, tables)
    return after, tuple(_changes(before, after, run_id))


@dataclass(slots=True)
class _Observations:
    """What all schemas together say of one field."""

    kinds: set[str] = field(default_factory=set)
    declared: set[str] = field(default_factory=set)


def unify_table(existing: TableSchema | None, parts: list[TableSchema], policy: Policy, run_id: str) -> TableSchema:
    """One table of `unify`."""
    fixed = existing.by_field if existing else {}
    observed: dict[Field, _Observations] = {}
    for table in ([existing] if existing else []) + parts:
        for column in table.columns:
            if policy not in _REJECTING or column.field.role != "variant" or column.field in fixed:
                observations = observed.setdefault(column.field, _Observations())
                observations.kinds.update(column.kinds)
                if column.declared:
                    observations.declared.add(column.declared)
    columns = {
        place: _settle(place, observations, fixed.get(place), policy, run_id)
        for place, observations in observed.items()
    }
    if policy is Policy.VARIANT:
        columns |= {column.field: column for column in _variants(columns, run_id)}
    declared = {place.path for place, observations in observed.items() if observations.declared}
    names = names_of(columns, declared, {place: column.name for place, column in fixed.items()})
    renamed = (replace(column, name=names[place]) for place, column in columns.items())
    first = existing or parts[0]
    return TableSchema(first.name, tuple(sorted(renamed, key=lambda column: column.name)), first.is_child)


def _settle(place: Field, observations: _Observations, existing: Column | None, policy: Policy, run_id: str) -> Column:
    declared = kinds.join_all(sorted(observations.declared)) if observations.declared else None
    if policy is Policy.EVOLVE or place.role:
        before = {existing.kind} if existing else set()
        kind = kinds.column_kind(kinds.join_all(sorted(observations.kinds | observations.declared | before)))
    else:
        kind = kinds.settled_kind(observations.kinds, existing.kind if existing else declared)
    return Column(
        field=place,
        name="",
        kind=kind,
        kinds=tuple(sorted(observations.kinds)),
        declared=declared,
        since=existing.since if existing else run_id,
    )


def _variants(columns: dict[Field, Column], run_id: str) -> Iterator[Column]:
    """The columns for what does not fit a column's kind; once there, they stay."""
    for place, column in columns.items():
        variant = Field(place.path, "variant")
        misfits = not place.role and not all(kinds.fits(kind, column.kind) for kind in column.kinds)
        if misfits and variant not in columns:
            yield Column(field=variant, name="", kind=kinds.STRING, kinds=(kinds.STRING,), since=run_id)


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

"""One schema out of many: the catalog's and those of all parts of a run."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from carrel.ingest.tables import kinds
from carrel.ingest.tables.names import Field, names_of
from carrel.ingest.tables.schema import ChangeKind, Column, DatasetSchema, TableChange, TableSchema
from carrel.ingest.values import Policy

_REJECTING = (Policy.QUARANTINE, Policy.FREEZE)
"""Policies under which a variant column is only a worker's note of files to reject."""


def unify(
    existing: DatasetSchema | None, schemas: Iterable[DatasetSchema], policy: Policy = Policy.EVOLVE, run_id: str = ""
) -> tuple[DatasetSchema, tuple[TableChange, ...]]:
    """The schema that fits `existing` (the catalog's) and every one of `schemas`, and what changed against `existing`.

    The order of `schemas` does not matter. `run_id` becomes `since` of new columns and is noted in the changes.
    A ValueError when there is neither `existing` nor any of `schemas`, or they are of several datasets.
    """
    parts = list(schemas)
    names = {schema.dataset for schema in ([existing] if existing else []) + parts}
    if len(names) != 1:
        raise ValueError(f"schemas of one dataset can be unified, not of {len(names)}")
    if existing and policy is Policy.FREEZE:
        return existing, ()
    before = existing or DatasetSchema(names.pop())
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
        subject: _settle(subject, observations, fixed.get(subject), policy, run_id)
        for subject, observations in observed.items()
    }
    if policy is Policy.VARIANT:
        columns |= {column.field: column for column in _variants(columns, run_id)}
    declared = {subject.path for subject, observations in observed.items() if observations.declared}
    names = names_of(columns, declared, {subject: column.name for subject, column in fixed.items()})
    renamed = (replace(column, name=names[subject]) for subject, column in columns.items())
    first = existing or parts[0]
    return TableSchema(first.name, tuple(sorted(renamed, key=lambda column: column.name)), first.is_child)


def _settle(
    subject: Field, observations: _Observations, existing: Column | None, policy: Policy, run_id: str
) -> Column:
    declared = kinds.join_all(sorted(observations.declared)) if observations.declared else None
    if policy is Policy.EVOLVE or subject.role:
        before = {existing.kind} if existing else set()
        kind = kinds.column_kind(kinds.join_all(sorted(observations.kinds | observations.declared | before)))
    else:
        kind = kinds.settled_kind(observations.kinds, existing.kind if existing else declared)
    return Column(
        field=subject,
        name="",
        kind=kind,
        kinds=tuple(sorted(observations.kinds)),
        declared=declared,
        since=existing.since if existing else run_id,
    )


def _variants(columns: dict[Field, Column], run_id: str) -> Iterator[Column]:
    """The columns for what does not fit a column's kind; once there, they stay."""
    for subject, column in columns.items():
        variant = Field(subject.path, "variant")
        misfits = not subject.role and not all(kinds.fits(kind, column.kind) for kind in column.kinds)
        if misfits and variant not in columns:
            yield Column(field=variant, name="", kind=kinds.STRING, kinds=(kinds.STRING,), since=run_id)


def _changes(before: DatasetSchema, after: DatasetSchema, run_id: str) -> Iterator[TableChange]:
    for name, table in after.tables.items():
        old = before.tables.get(name)
        if old is None:
            yield TableChange(what=ChangeKind.NEW_TABLE, table=name, run_id=run_id)
            continue
        for column in table.columns:
            yield from _column_changes(name, old.by_field.get(column.field), column, run_id)


def _column_changes(table: str, old: Column | None, new: Column, run_id: str) -> Iterator[TableChange]:
    change = partial(TableChange, table=table, path=new.field.path, role=new.field.role, run_id=run_id)
    if old is None:
        yield change(what=ChangeKind.NEW_COLUMN, after=new.kind)
        return
    if old.kind != new.kind:
        what = ChangeKind.WIDENING if kinds.is_widening(old.kind, new.kind) else ChangeKind.KIND_CHANGE
        yield change(what=what, before=old.kind, after=new.kind)
    if old.name != new.name:
        yield change(what=ChangeKind.RENAME, before=old.name, after=new.name)

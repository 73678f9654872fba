"""Bringing a table that was written under one schema into another: renaming, widening, filling, moving to variants."""

from dataclasses import dataclass

import pyarrow as pa

from carrel.ingest.tables.schema import Policy, TableSchema


@dataclass(frozen=True, slots=True)
class Offender:
    """A file whose rows do not fit a schema under the policies quarantine and freeze."""

    recordid: str
    source_file: str
    pointer: str


def needs_rewrite(have: TableSchema, want: TableSchema) -> bool:
    """Whether a file written under `have` reads wrongly under `want`: a shared column has another name or type.

    Columns that only `want` has are no reason: readers fill them with nulls.
    """
    raise NotImplementedError


def conform(table: pa.Table, have: TableSchema, want: TableSchema, policy: Policy = Policy.EVOLVE) -> pa.Table:
    """`table` (written under `have`) as `want` has it; works for parts of this run and for committed tables alike."""
    raise NotImplementedError


def offenders(table: pa.Table, have: TableSchema, want: TableSchema) -> tuple[Offender, ...]:
    """Files with values that `want` has no place for (policies quarantine, freeze); drop them from every table."""
    raise NotImplementedError


def without(table: pa.Table, files: tuple[Offender, ...]) -> pa.Table:
    """The table without the rows of these files."""
    raise NotImplementedError

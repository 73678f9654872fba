"""From JSON values of many files to Arrow tables, one batch at a time; a worker runs this."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from carrel.ingest.tables.schema import DatasetSchema, Declared, Policy
from carrel.ingest.values import Fault, Lineage


@dataclass(frozen=True, slots=True)
class Rejection:
    """A file whose values the tables cannot take; none of its rows are in `Flat.tables`."""

    lineage: Lineage
    fault: Fault


@dataclass(frozen=True, slots=True)
class Flat:
    """What a batch of files came to: `tables[name]` has the Arrow schema `schema.tables[name].to_arrow()`."""

    tables: Mapping[str, pa.Table]
    schema: DatasetSchema
    rejected: tuple[Rejection, ...] = ()


class Flattener:
    """Collects files of one dataset version and turns them into tables.

    `known`: the catalog's schema, where there is one: tables come out in it where it fits, so that the coordinator
    need not rewrite them.
    """

    def __init__(
        self,
        dataset: str,
        declared: Declared,
        policy: Policy = Policy.EVOLVE,
        known: DatasetSchema | None = None,
        max_table_depth: int = 8,
    ):
        raise NotImplementedError

    def add(self, lineage: Lineage, value: Any, first: int = 0) -> None:
        """Take one file's parsed (and checked) JSON. `first`: position of the first element, for a block of a long
        top-level array. FileRejected `top_level` (stage types) when it is neither object nor array."""
        raise NotImplementedError

    def add_bytes(self, lineage: Lineage, data: bytes, check: Callable[[Any], None] | None = None) -> None:
        """Parse (archives.parse), `check(value)` (raises FileRejected), and `add`."""
        raise NotImplementedError

    def finish(self) -> Flat:
        """The tables of everything added since the last `finish`."""
        raise NotImplementedError


def flatten_stream(
    flattener: Flattener,
    lineage: Lineage,
    chunks: Iterable[bytes],
    check: Callable[[Any], None] | None = None,
    block_bytes: int = 4_000_000,
) -> Iterator[Flat]:
    """A huge top-level array, block by block, in bounded memory; keys and indices go on across blocks.

    `check` sees each block as an array. FileRejected (from parsing or `check`) may come after blocks were handed out:
    the caller throws those away.
    """
    raise NotImplementedError

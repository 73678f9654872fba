"""Looking for data in the catalogues of all backends at once: names first, then descriptions. Pure, and bounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import nsmallest

from carrel.messages.catalogue import Catalogue, CatalogueColumn, CatalogueDatabase, CatalogueTable, DataSet
from carrel.units.limits import MAX_SEARCH_CHARACTERS

MAX_WORDS = 8
MAX_COLUMNS_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DataHit:
    """A table that was found, on one backend. `columns`: those of it that the words are in, at most ten."""

    rank: int
    """Lower is better."""
    backend: str
    database: CatalogueDatabase
    data_set: DataSet
    table: CatalogueTable
    columns: tuple[CatalogueColumn, ...] = ()


@dataclass(frozen=True, slots=True)
class DataHits:
    """The best tables, and how many there were in all."""

    hits: tuple[DataHit, ...] = ()
    total: int = 0


def search(catalogues: Iterable[Catalogue], text: str, limit: int = 50) -> DataHits:
    """Find the tables that every word of `text` is in: in their name, their data set's, a column's, or in what is said.

    Names that are the word come before names that begin with it, these before names that hold it, and all of these
    before descriptions; tables before their columns. No words: nothing.
    """
    words = text[:MAX_SEARCH_CHARACTERS].casefold().split()[:MAX_WORDS]
    if not words:
        return DataHits()
    hits = [hit for catalogue in catalogues for hit in _hits(catalogue, words)]
    best = nsmallest(limit, hits, key=lambda hit: (hit.rank, hit.table.name.casefold(), hit.backend))
    return DataHits(tuple(best), len(hits))


def _hits(catalogue: Catalogue, words: list[str]) -> Iterator[DataHit]:
    for database in catalogue.databases:
        for data_set in database.data_sets:
            around = [data_set.name, data_set.title]
            for table in data_set.tables:
                ranks, columns = _ranks(table, around, data_set.description, words)
                if None not in ranks:
                    yield DataHit(
                        rank=sum(rank for rank in ranks if rank is not None),
                        backend=catalogue.backend,
                        database=database,
                        data_set=data_set,
                        table=table,
                        columns=columns,
                    )


def _ranks(
    table: CatalogueTable, around: list[str], description: str, words: list[str]
) -> tuple[list[int | None], tuple[CatalogueColumn, ...]]:
    """Return how well each word fits a table (None: not at all), and the columns that any of the words fits."""
    names = [(table.name, 0), (table.qualified_name, 0), *((name, 4) for name in around)]
    texts = [(table.description, 9), (description, 11)]
    ranks = [_best(word, names, texts) for word in words]
    columns: list[CatalogueColumn] = []
    for column in table.columns:
        of_column = [_best(word, [(column.name, 3)], [(column.description, 10)]) for word in words]
        if any(rank is not None for rank in of_column) and len(columns) < MAX_COLUMNS_SHOWN:
            columns.append(column)
        ranks = [
            min((rank for rank in pair if rank is not None), default=None)
            for pair in zip(ranks, of_column, strict=True)
        ]
    return ranks, tuple(columns)


def _best(word: str, names: list[tuple[str, int]], texts: list[tuple[str, int]]) -> int | None:
    """Return the rank of the best place of a word: a name's own rank, and one or two more where it is only a part."""
    ranks = []
    for name, rank in names:
        folded = name.casefold()
        if word in folded:
            ranks.append(rank + (0 if folded == word else 1 if folded.startswith(word) else 2))
    ranks += [rank for text, rank in texts if word in text.casefold()]
    return min(ranks, default=None)

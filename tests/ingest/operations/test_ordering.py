"""Ordering rows with bounded memory, held against a sort of all of them at once."""

import random

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from carrel.ingest.operations.ordering import Ordering

KEYS = ("recordid", "source")


def blocks_of(rows, size):
    schema = pa.schema([("recordid", pa.string()), ("source", pa.int64()), ("place", pa.int64())])
    table = pa.Table.from_pylist([{"recordid": r, "source": s, "place": n} for n, (r, s) in enumerate(rows)], schema)
    return [table.slice(start, size) for start in range(0, table.num_rows, size)]


def sorted_at_once(rows):
    """Python's stable sort, nulls last."""
    numbered = [(r, s, n) for n, (r, s) in enumerate(rows)]
    return sorted(numbered, key=lambda row: ((row[0] is None, row[0] or ""), (row[1] is None, row[1] or 0)))


@given(
    rows=st.lists(st.tuples(st.sampled_from(["", "a", "B", "é", "日", "😀", None]), st.sampled_from([-1, 0, 3, None]))),
    size=st.integers(1, 9),
    memory=st.integers(1, 4_000),
)
@settings(max_examples=60, deadline=None)
def test_the_order_is_that_of_a_stable_sort_of_everything(tmp_path_factory, rows, size, memory):
    scratch = tmp_path_factory.mktemp("scratch")
    parts = list(Ordering(scratch, KEYS, memory).order(blocks_of(rows, size)))
    made = [tuple(row.values()) for part in parts for row in part.to_pylist()]
    assert made == sorted_at_once(rows)
    assert list(scratch.iterdir()) == []


def test_only_a_part_of_the_rows_is_held_at_once(tmp_path):
    """25 MB through 4 MB: Arrow's own count of what it has, whenever rows come in or go out."""
    memory = 4_000_000
    held = []
    picked = random.Random(1)
    before = pa.total_allocated_bytes()

    def measured(tables):
        for table in tables:
            held.append(pa.total_allocated_bytes() - before)
            yield table

    def incoming():
        for _ in range(50):
            names = [f"{picked.randrange(10**9):012d}" for _ in range(1_000)]
            yield pa.table({"recordid": names, "source": [1] * 1_000, "text": ["x" * 480] * 1_000})

    count = total = 0
    last = ""
    for rows in measured(Ordering(tmp_path, KEYS, memory).order(measured(incoming()))):
        names = rows.column("recordid").to_pylist()
        assert last <= names[0]
        assert names == sorted(names)
        last = names[-1]
        count, total = count + rows.num_rows, total + rows.nbytes
    assert count == 50_000
    assert total > 6 * memory
    assert max(held) < memory


def test_a_reader_who_stops_leaves_nothing_on_the_disk(tmp_path):
    rows = Ordering(tmp_path, KEYS, 10).order(blocks_of([("a", 1)] * 50, 5))
    next(rows)
    rows.close()
    assert list(tmp_path.iterdir()) == []

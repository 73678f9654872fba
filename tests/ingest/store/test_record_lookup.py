"""Which files may hold a record, against the obvious way: every record and every run, one after the other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.ingest.store.record_lookup import Bounds, RecordLookup

names = st.text("abc_-é", min_size=1, max_size=3)
bounds = st.none() | st.tuples(names, names).map(lambda pair: (min(pair), max(pair)))


def within(value: str, between: Bounds) -> bool:
    return between is None or between[0] <= value <= between[1]


@given(st.dictionaries(names, st.frozensets(names, max_size=3), max_size=8), bounds, bounds)
def test_as_by_looking_at_each(records: dict[str, frozenset[str]], of_records: Bounds, of_runs: Bounds) -> None:
    expected = any(
        within(record, of_records) and (not runs or any(within(run, of_runs) for run in runs))
        for record, runs in records.items()
    )
    assert RecordLookup(records).may_be_in(of_records, of_runs) is expected


@pytest.mark.parametrize("edge", ["r1", "r5"])
def test_bounds_are_included(edge: str) -> None:
    assert RecordLookup({edge: ["run3"]}).may_be_in(("r1", "r5"), ("run3", "run3"))
    assert not RecordLookup({edge: ["run3"]}).may_be_in(("r2", "r4"), ("run3", "run3"))
    assert not RecordLookup({edge: ["run3"]}).may_be_in(("r1", "r5"), ("run4", "run9"))

"""Two coordinators who both believe to hold a warehouse: one slept, the other took over. Nothing happens twice."""

import json

import pyarrow as pa
import pytest
from deltalake.exceptions import DeltaError
from tests.support.s3 import pass_time

from carrel.ingest.store import (
    RunNumber,
    RunPlan,
    TableCommit,
    WarehouseLost,
    apply,
    begin,
    coordinator_lock,
    decide,
    finish,
    open_dataset,
    open_storage,
    open_table,
    recover,
    schema_bytes,
    vacuum,
    write_file,
)
from carrel.ingest.store.delta import commit
from carrel.warehouse.layout import STATE

ROWS = pa.table({"recordid": ["one", "two"]})


def planned(storage, number, catalog="first"):
    """A run that has written its file."""
    file = write_file(storage, number.run_id, "t", "rows", ROWS)
    commits = (TableCommit("t", schema_bytes(ROWS.schema), (file,)),)
    return RunPlan(number=number.number, run_id=number.run_id, kind="run", commits=commits, catalog={"t": catalog})


def whole_run(storage, catalog="later"):
    number = begin(storage)
    plan = planned(storage, number, catalog)
    decide(storage, plan)
    apply(storage, plan)
    finish(storage, plan)


@pytest.fixture
def asleep(on_s3):
    """(its storage, its run) of a coordinator that has written its files and sleeps before it decides."""
    with coordinator_lock(on_s3):
        number = begin(on_s3)
        yield on_s3, planned(on_s3, number)


def taken_over(storage):
    """Another's hold on the warehouse, after the sleeper's lease has ended."""
    pass_time(storage)
    other = open_storage(storage.url)
    return other, coordinator_lock(other)


def rows(storage):
    return open_dataset(storage, "t").count_rows()


def test_a_sleeper_cannot_decide_what_was_given_up(asleep):
    storage, plan = asleep
    other, hold = taken_over(storage)
    with hold:
        assert recover(other) is None
        whole_run(other)
        before = sorted(storage.keys(""))
        with pytest.raises(WarehouseLost):
            decide(storage, plan)
        assert sorted(storage.keys("")) == before, "it leaves nothing behind"
    assert rows(storage) == 2
    assert json.loads(storage.read(STATE)) == {"number": 2, "state": "done"}


def test_nor_if_it_does_not_know_that_its_lease_is_gone(asleep):
    # It looked at the lease, then slept, then decided: the plan itself must stand in its way.
    storage, plan = asleep
    other, hold = taken_over(storage)
    with hold:
        recover(other)
        storage.lease = None
        with pytest.raises(WarehouseLost):
            decide(storage, plan)
    assert not [key for key in storage.keys("") if plan.run_id in key and key.endswith(".parquet")]


def test_a_run_that_was_decided_a_moment_before_is_rolled_forward_by_who_takes_over(asleep, monkeypatch):
    storage, plan = asleep
    other, hold = taken_over(storage)
    create = other.create

    def slowly(key, data):
        storage.lease = None
        decide(storage, plan)
        return create(key, data)

    monkeypatch.setattr(other, "create", slowly)
    with hold:
        assert recover(other) == plan
    assert rows(storage) == 2


def test_of_two_runs_of_one_number_one_is_decided(on_s3):
    number = begin(on_s3)
    decide(on_s3, planned(on_s3, number))
    with pytest.raises(WarehouseLost):
        decide(open_storage(on_s3.url), planned(on_s3, number))


def test_of_two_who_begin_at_once_one_begins(on_s3, monkeypatch):
    other = open_storage(on_s3.url)
    exchange = on_s3.exchange

    def late(*arguments):
        begin(other)
        return exchange(*arguments)

    monkeypatch.setattr(on_s3, "exchange", late)
    with pytest.raises(WarehouseLost):
        begin(on_s3)


@pytest.mark.parametrize("later_runs", [0, 1])
def test_a_sleeper_that_wakes_while_it_applies_undoes_nothing(asleep, later_runs):
    storage, plan = asleep
    decide(storage, plan)
    other, hold = taken_over(storage)
    with hold:
        assert recover(other) == plan
        for _ in range(later_runs):
            whole_run(other)
    state = storage.read(STATE), storage.read("catalog/t.json"), rows(storage)
    with pytest.raises(WarehouseLost):
        apply(storage, plan)
    for each in plan.commits:
        commit(storage, plan.number, each)
    if later_runs:
        with pytest.raises(WarehouseLost):
            finish(storage, plan)
    else:
        finish(storage, plan)
    assert (storage.read(STATE), storage.read("catalog/t.json"), rows(storage)) == state


def test_a_sleeper_between_reading_and_writing_the_catalog_writes_nothing(asleep, monkeypatch):
    storage, plan = asleep
    decide(storage, plan)
    swap = storage.swap

    def late(key, data, etag):
        if key == "catalog/t.json":
            monkeypatch.setattr(storage, "swap", swap)
            other, hold = taken_over(storage)
            with hold:
                recover(other)
                whole_run(other)
        return swap(key, data, etag)

    monkeypatch.setattr(storage, "swap", late)
    with pytest.raises(WarehouseLost):
        apply(storage, plan)
    assert storage.read("catalog/t.json") == b"later"
    assert rows(storage) == 4


@pytest.mark.parametrize("unsafe", [{}, {"AWS_S3_ALLOW_UNSAFE_RENAME": "true", "AWS_CONDITIONAL_PUT": "disabled"}])
@pytest.mark.parametrize("replace", [False, True])
def test_a_second_commit_of_one_version_fails(storage, replace, unsafe, monkeypatch):
    """Two writers who read the same version, whatever the environment says of it."""
    for name, value in unsafe.items():
        monkeypatch.setenv(name, value)
    commit(storage, 1, planned(storage, begin(storage)).commits[0])
    late = open_table(storage, "t")

    def of(number):
        what = planned(storage, number).commits[0]
        return TableCommit(what.table, what.schema, what.add, replace=replace)

    number = begin(storage)
    commit(storage, 2, of(number))
    with monkeypatch.context() as patch:
        patch.setattr("carrel.ingest.store.delta.open_table", lambda *_: late)
        with pytest.raises(DeltaError, match=r"Concurrent|Metadata changed|concurrent"):
            commit(storage, 3, of(number))
    assert rows(storage) == (2 if replace else 4)


def test_a_second_making_of_a_table_fails(storage, monkeypatch):
    number = begin(storage)
    first, second = planned(storage, number), planned(storage, number)
    commit(storage, 1, first.commits[0])
    monkeypatch.setattr("carrel.ingest.store.delta.open_table", lambda *_: None)
    with pytest.raises(DeltaError, match="already exists"):
        commit(storage, 2, second.commits[0])


def test_who_did_not_hear_that_its_commit_came_through_is_not_told_that_it_failed(storage, monkeypatch):
    plan = planned(storage, begin(storage))
    commit(storage, 1, plan.commits[0])
    late = open_table(storage, "t")
    number = begin(storage)
    again = planned(storage, number).commits[0]
    commit(storage, 2, again)
    seen = iter([late, open_table(storage, "t")])
    monkeypatch.setattr("carrel.ingest.store.delta.open_table", lambda *_: next(seen))
    commit(storage, 2, again)
    assert rows(storage) == 4


def test_a_sleeper_that_wakes_to_vacuum_leaves_the_files_of_later_runs(storage):
    whole_run(storage)
    old = planned(storage, RunNumber(1)).commits[0].add[0]
    later = planned(storage, RunNumber(3)).commits[0].add[0]
    assert vacuum(storage, "t", 2) == [old.path]
    assert vacuum(storage, "t", 2) == []
    assert f"tables/t/{later.path}" in storage.keys("tables/t/")
    assert vacuum(storage, "t", 3) == [later.path]
    assert rows(storage) == 2

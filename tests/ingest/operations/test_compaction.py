"""Compaction: the same rows in fewer files, a part of them at a time, in one commit that changes no data."""

import json

import pyarrow as pa
import pytest
from click.testing import CliRunner
from tests.support.s3 import new_bucket

from carrel.ingest.cli import ingest
from carrel.ingest.operations.compaction import compact, count_old_files
from carrel.ingest.store import (
    RunPlan,
    TableCommit,
    active_files,
    apply,
    begin,
    decide,
    finish,
    open_storage,
    open_table,
    read_blocks,
    schema_bytes,
    write_file,
)

FILES, ROWS = 9, 1_000


@pytest.fixture(params=["folder", "s3"])
def storage(request, tmp_path):
    place = tmp_path if request.param == "folder" else f"s3://{new_bucket(request.getfixturevalue('s3'))}/w"
    return open_storage(str(place))


def filled(storage, files=FILES, rows=ROWS):
    """A table that grew by many runs; the last of which brought a column."""
    for number in range(files):
        write_run(storage, part(number, rows, extra=number == files - 1))
    return whole(storage)


def part(number, rows, extra):
    """Records of several files are spread over all of them; samples of one file follow one another."""
    columns = {
        "recordid": [f"record{(number * 7 + row // 50) % 90:03d}" for row in range(rows)],
        "_source_file": ["motion.json"] * rows,
        "sample": list(range(number * rows, (number + 1) * rows)),
        "noise": [f"{(number * rows + row) * 2654435761 % 2**64:020d}" * 5 for row in range(rows)],
    }
    return pa.table({**columns, **({"extra": ["new"] * rows} if extra else {})})


def write_run(storage, table):
    number = begin(storage)
    file = write_file(storage, number.run_id, "t", "part", table)
    commit = TableCommit("t", schema_bytes(table.schema), (file,))
    plan = RunPlan(number=number.number, run_id=number.run_id, kind="run", commits=(commit,))
    decide(storage, plan)
    apply(storage, plan)
    finish(storage, plan)


def whole(storage):
    """Rows as they are, sorted by what is unique."""
    files = active_files(open_table(storage, "t"))
    found = [row for file in files for block in read_blocks(storage, "t", file.path) for row in block.to_pylist()]
    return sorted(({"extra": None, **row} for row in found), key=lambda row: row["sample"])


def test_many_small_files_become_one_with_the_same_rows(storage):
    before = filled(storage)
    assert compact(storage.url).tables == {"t": (FILES, 1)}
    assert whole(storage) == before
    (file,) = active_files(open_table(storage, "t"))
    (rows,) = read_blocks(storage, "t", file.path)
    order = list(zip(rows["recordid"].to_pylist(), rows["sample"].to_pylist(), strict=True))
    assert order == sorted(order), "rows of a record together, samples as they followed one another"
    assert compact(storage.url).tables == {}


def test_it_streams_into_files_of_the_size_that_was_asked_for(tmp_path):
    storage = open_storage(str(tmp_path))
    before = filled(storage)
    size = sum(file.size for file in active_files(open_table(storage, "t")))
    made = compact(str(tmp_path), target_bytes=size // 3, memory_bytes=100_000)
    ((files, became),) = made.tables.values()
    assert files == FILES
    assert 3 <= became <= 6
    assert whole(storage) == before
    assert not list(tmp_path.rglob("ordering-*"))
    assert not list(tmp_path.rglob("scratch"))


def test_it_is_one_commit_that_says_that_no_data_changed(tmp_path):
    storage = open_storage(str(tmp_path))
    filled(storage)
    version = open_table(storage, "t").version()
    compact(str(tmp_path))
    table = open_table(storage, "t")
    assert table.version() == version + 1
    log = tmp_path / "tables" / "t" / "_delta_log" / f"{table.version():020d}.json"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    changes = [each for line in lines for kind, each in line.items() if kind in ("add", "remove")]
    assert len(changes) == FILES + 1
    assert not any(each["dataChange"] for each in changes)
    assert open_table(storage, "t", version).to_pyarrow_table().num_rows == FILES * ROWS


def test_what_goes_is_counted_before_it_goes(tmp_path):
    storage = open_storage(str(tmp_path))
    filled(storage)

    def told(*words):
        done = CliRunner().invoke(ingest, ["compact", *words, "--warehouse", str(tmp_path)])
        assert done.exit_code == 0, done.output
        return done.output.splitlines()

    assert told() == [f"t: {FILES} files became 1", "1 table compacted, 0 old files deleted"]
    assert count_old_files(str(tmp_path), 1) == {}
    assert count_old_files(str(tmp_path), 0) == {"t": FILES}
    assert told("--vacuum-hours", "0", "--yes") == [
        f"t: {FILES} old files to delete; versions before that can no longer be read",
        f"0 tables compacted, {FILES} old files deleted",
    ]
    assert len(list(storage.keys("tables/t/part-"))) == 1


def test_old_files_go_when_they_are_told_to(storage):
    before = filled(storage)
    made = compact(storage.url, vacuum_hours=0)
    assert made.deleted == FILES
    assert whole(storage) == before
    assert len(list(storage.keys("tables/t/part-"))) == 1

"""Whole runs over synthetic studies with every knob and fault, held against the ground truth cell by cell."""

import random

import pytest
from tests.support.ingest import Folder, dispositions_of, expected, ingest, quarantined, state_of, tables_of
from tests.support.ingest_tables import cells, of_truth

from carrel.ingest.run import IngestOptions, inline, processes, threads
from carrel.synthetic import FAULTS, Knobs, write

KNOBS = Knobs(
    seed=3,
    records=60,
    faults=dict.fromkeys(FAULTS, 1),
    reexports=0.3,
    duplicates=0.3,
    odd_keys=0.5,
    nulls=0.3,
    hz=5,
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return folder / "archives", write(KNOBS, folder)


@pytest.fixture(scope="module")
def plain(study, tmp_path_factory):
    """The warehouse after one quiet run."""
    warehouse = tmp_path_factory.mktemp("plain")
    ingest(warehouse, Folder(study[0]))
    return warehouse


def test_every_table_is_as_the_truth_says(study, plain):
    assert cells(tables_of(plain)) == of_truth(study[1]["tables"])


def test_every_archive_has_its_disposition_and_its_quarantine_lines(study, plain):
    dispositions, lines = expected(study[1])
    assert dispositions_of(plain) == dispositions
    assert quarantined(plain) == lines


@pytest.mark.parametrize(
    ("pool", "options", "seed"),
    [
        (inline(), IngestOptions(batch_archives=1), 1),
        (inline(), IngestOptions(batch_archives=7, flush_bytes=1), 2),
        (threads(4), IngestOptions(batch_archives=5, stream_from=500), 3),
        (processes(1), IngestOptions(batch_archives=20), 4),
        (processes(4), IngestOptions(batch_archives=9), 5),
    ],
    ids=["one by one", "sevens, flushed at once", "threads, streamed", "one process", "four processes"],
)
def test_order_batches_and_workers_do_not_show(study, plain, tmp_path, pool, options, seed):
    names = sorted(path.stem for path in study[0].glob("*.zip"))
    random.Random(seed).shuffle(names)
    ingest(tmp_path, Folder(study[0], tuple(names)), pool, options)
    assert state_of(tmp_path) == state_of(plain)


def test_the_same_archives_again_change_nothing(study, plain, tmp_path):
    before = state_of(plain)
    report = ingest(plain, Folder(study[0]))
    assert (report.run_id, report.known, report.exit_code) == (None, report.listed, 0)
    assert state_of(plain) == before


def test_how_archives_come_in_runs_does_not_show(tmp_path):
    write(Knobs(seed=11, records=12, hz=1, int_noise=0.5), tmp_path)
    names = sorted(path.stem for path in (tmp_path / "archives").glob("*.zip"))
    ingest(tmp_path / "at once", Folder(tmp_path / "archives"))
    for name in names:
        ingest(tmp_path / "one by one", Folder(tmp_path / "archives", (name,)))
    assert state_of(tmp_path / "one by one") == state_of(tmp_path / "at once")

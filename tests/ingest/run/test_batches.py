"""How archives are shared out among workers."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from carrel.ingest.run import IngestOptions
from carrel.ingest.run.dispatcher import split_into_batches
from carrel.ingest.values import ArchiveRef

MB = 1_000_000
sizes = st.lists(st.none() | st.integers(0, 40 * MB), max_size=60)
options = st.builds(IngestOptions, batch_bytes=st.integers(1, 30 * MB), batch_archives=st.integers(1, 30))


def _refs(sizes):
    return [ArchiveRef(f"uri{number}", "etag", size) for number, size in enumerate(sizes)]


@given(sizes, options, st.integers(1, 8))
def test_every_archive_is_in_one_batch_and_no_batch_is_too_large(sizes, options, width):
    refs = _refs(sizes)
    made = split_into_batches(refs, options, width)
    assert [ref for batch in made for ref in batch.refs] == refs
    assert [batch.number for batch in made] == list(range(len(made)))
    for batch in made:
        assert 1 <= len(batch.refs) <= options.batch_archives
        assert len(batch.refs) == 1 or sum(ref.size or 100_000 for ref in batch.refs) <= options.batch_bytes


def test_several_workers_get_ever_smaller_batches_so_that_they_end_together():
    made = [len(batch.refs) for batch in split_into_batches(_refs([MB] * 64), IngestOptions(), 2)]
    assert made == [16, 12, 9, 6, 5, 4, 3, 2, 1, 1, 1, 1, 1, 1, 1]


def test_a_single_worker_gets_as_much_as_the_options_allow():
    made = [len(batch.refs) for batch in split_into_batches(_refs([MB] * 64), IngestOptions(), 1)]
    assert made == [16, 16, 16, 16]


def test_the_server_of_the_workers_can_be_begun_before_anything_heavy_is_imported():
    program = (
        "import sys, carrel.ingest.forkserver; print(*sorted({'pyarrow', 'deltalake', 'orjson'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "\n"

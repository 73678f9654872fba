"""Reading the ledger."""

import pyarrow.fs as pafs
from deltalake import write_deltalake

from carrel.ingest.store import LEDGER, open_storage, table_key
from carrel.ingest.store.ledger import Ledger, to_arrow, tombstone_line


def test_no_python_code_reads_the_ledger_of_a_local_warehouse(tmp_path):
    # Else a process that ends soon after is aborted (exit code 134) by a thread of Arrow that frees Python's buffers.
    storage = open_storage(str(tmp_path / "a b"))
    write_deltalake(storage.uri(table_key(LEDGER)), to_arrow([tombstone_line("one", "r00000001")]))
    ledger = Ledger(storage)
    assert not isinstance(ledger.dataset.filesystem, pafs.PyFileSystem)
    assert isinstance(ledger.dataset.filesystem, pafs.SubTreeFileSystem)
    assert ledger.tombstones() == {"one"}

"""A withdrawal from a large file takes no more memory than from a small one."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = """
import sys, tempfile
from pathlib import Path
import pyarrow as pa
import pyarrow.compute as pc
from tests.support.ingest import Folder, deliver, ingest
from carrel.ingest.store import FileWriter, RunPlan, TableCommit, begin, carry_out, open_storage, open_table
from carrel.ingest.store import schema_bytes
from carrel.ingest.operations.withdrawal import withdraw

folder = Path(tempfile.mkdtemp())
(folder / "archives").mkdir()
deliver(folder / "archives", "1", "record-one", {"a": 1.5})
ingest(folder / "w", Folder(folder / "archives"))

storage = open_storage(str(folder / "w"))
table = open_table(storage, "Anything_v1")
schema = pa.schema(table.schema().to_arrow())
row = table.to_pyarrow_table().cast(schema)
number = begin(storage)
writer = FileWriter(storage, number.run_id, "Anything_v1", "large", schema)
groups = int(sys.argv[1])
for group in range(groups):
    rows = row.take(pa.array([0] * 20_000))
    for name in ("_row_key", "_archive_uri", "a"):
        place = schema.get_field_index(name)
        rows = rows.set_column(place, name, pc.random(20_000, initializer=group).cast(schema.field(name).type))
    if group != groups // 2:
        rows = rows.set_column(schema.get_field_index("recordid"), "recordid", pa.array(["somebody"] * 20_000))
        rows = rows.set_column(schema.get_field_index("healthcode"), "healthcode", pa.array(["else"] * 20_000))
    writer.write(rows)
file = writer.close()
commit = TableCommit("Anything_v1", schema_bytes(schema), (file,))
carry_out(storage, RunPlan(number=number.number, run_id=number.run_id, kind="run", commits=(commit,)))

proof = withdraw(str(folder / "w"), record_ids=["record-one"])
assert proof.rows == 20_001, proof.text()
assert not proof.holding
with open("/proc/self/status") as status:
    peak = next(line for line in status if line.startswith("VmHWM"))
print(file.size // 1_000_000, int(peak.split()[1]) // 1024)
"""


@pytest.mark.slow
def test_five_times_the_file_takes_no_more_memory():
    (small, little), (large, much) = (measured(groups) for groups in (20, 100))
    assert large > 4 * small
    # The longer file has about 250 MB more in memory: read whole, it would show.
    assert much < little + 100


def measured(groups):
    """(size of the file, peak of the process), in MB."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(groups)], capture_output=True, text=True, check=True, timeout=250, cwd=ROOT
    )
    size, peak = map(int, done.stdout.split())
    return size, peak

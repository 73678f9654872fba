"""A long sensor file goes through in memory that does not grow with it."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
from tests.support.ingest_tables import lineage
from carrel.ingest.tables import Flattener, flatten_stream

row = b'{"sensorType":"gyro","uptime":1234.5,"timestamp":0.01,"stepPath":"walk","x":0.123456,"y":-1.25,"z":9.81}'

def chunks(megabytes):
    yield b"["
    block = b",".join([row] * 5_000)
    for number in range(megabytes * 1_000_000 // len(block)):
        yield (b"," if number else b"") + block
    yield b"]"

peaks = []
for megabytes in (20, 120):
    rows = sum(
        flat.tables["D"].num_rows for flat in flatten_stream(Flattener("D", {}), lineage("r1"), chunks(megabytes))
    )
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
print(rows, *peaks)
"""


@pytest.mark.slow
def test_six_times_the_file_takes_no_more_memory():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=200)
    rows, small, large = map(int, done.stdout.split())
    assert rows > 1_000_000
    # The longer file is 100 MB longer: held whole, even as bytes, it would show. The absolute figure, which depends on
    # the machine's allocator and load, is measured in benchmarks.ingest.
    assert large < small + 90

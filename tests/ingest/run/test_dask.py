"""On a real Dask scheduler with two workers: the same warehouse."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.ingest import Deadly, Folder, ingest, state_of

from carrel.ingest.run import IngestOptions, dask
from carrel.synthetic import Knobs, write

ROOT = Path(__file__).parents[3]
SCHEDULER = """
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        print("at " + cluster.scheduler_address, flush=True)
        input()
"""


@contextmanager
def cluster(folder):
    """Address of a scheduler with two worker processes, apart from this process."""
    (folder / "cluster.py").write_text(SCHEDULER)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    started = subprocess.Popen(
        [sys.executable, str(folder / "cluster.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=folder,
        text=True,
    )
    with started:
        try:
            assert started.stdout
            found = re.search(r"at (\S+)", started.stdout.readline())
            assert found, "the cluster did not start"
            yield found[1]
        finally:
            started.communicate("\n", timeout=60)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_dask_cluster_comes_to_the_same(tmp_path):
    write(Knobs(records=10, hz=1, seconds=1), tmp_path / "study")
    archives = tmp_path / "study" / "archives"
    with cluster(tmp_path) as address:
        report = ingest(tmp_path / "w", Folder(archives), dask(address), IngestOptions(batch_archives=2))
    assert report.exit_code == 0
    ingest(tmp_path / "quiet", Folder(archives))
    assert state_of(tmp_path / "w") == state_of(tmp_path / "quiet")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_worker_of_the_cluster_that_is_killed_mid_run_takes_nothing_with_it(tmp_path):
    write(Knobs(records=10, hz=1, seconds=1), tmp_path / "study")
    archives = tmp_path / "study" / "archives"
    source = Deadly(archives, victim="000003", marker=tmp_path / "killed")
    with cluster(tmp_path) as address:
        report = ingest(tmp_path / "w", source, dask(address), IngestOptions(batch_archives=2))
    assert (tmp_path / "killed").exists()
    assert report.exit_code == 0
    ingest(tmp_path / "quiet", Folder(archives))
    assert state_of(tmp_path / "w") == state_of(tmp_path / "quiet")

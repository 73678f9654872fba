"""The unprotected executor, for tests of the agent itself, lives as the others do; it isolates nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.executors.conformance import Bench, Lifecycle, Startable, Talkative
from tests.executors.conformance import bench as make_bench

from carrel.executors.base import Network, NotSupported
from carrel.executors.choice import ExecutorSettings


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    settings = ExecutorSettings(executor="process", state_dir=tmp_path / "state")
    with make_bench(settings, "x/python:v2", tmp_path / "work") as made:
        yield made


class TestLifecycle(Lifecycle):
    pass


class TestStartable(Startable):
    pass


class TestTalkative(Talkative):
    pass


def test_it_never_gets_a_database(bench: Bench) -> None:
    with pytest.raises(NotSupported):
        bench.executor.start(bench.spec("true", network=Network("database", "db")))

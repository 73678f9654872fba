from datetime import UTC, datetime
from pathlib import Path

from carrel.agent.folder import AttemptFolder
from carrel.agent.metrics import MEGABYTE, Meter, updated
from carrel.executors.base import Inspection, Phase, Usage


def test_figures_over_three_samples() -> None:
    figures: dict = {}
    for now, cpu, memory in ((0, 0.0, 10), (10, 5.0, 30), (20, 20.0, 20)):
        figures = updated(figures, Usage(cpu, memory * MEGABYTE, read_bytes=7), now)
    assert figures["samples"] == 3
    assert (figures["cpu_sample"], figures["cpu_mean"], figures["cpu_peak"]) == (150.0, round(200 / 3, 3), 150.0)
    assert (figures["mem_mb_sample"], figures["mem_mb_mean"], figures["mem_mb_peak"]) == (20, 20, 30)
    assert (figures["cpu_cumsum"], figures["mem_mb_cumsum"], figures["cpu_seconds"]) == (200.0, 60, 20.0)
    assert figures["read_bytes"] == 7
    assert "written_bytes" not in figures


def test_the_runtimes_own_peak_counts() -> None:
    assert updated({}, Usage(0, MEGABYTE, memory_peak=9 * MEGABYTE), 0)["mem_mb_peak"] == 9


def test_samples_survive_a_restart_and_end_with_the_wall_time(tmp_path: Path) -> None:
    class Runtime:
        def usage(self, name: str) -> Usage | None:
            return Usage(1.0, MEGABYTE) if name == "running" else None

    folder = AttemptFolder(tmp_path)
    for _ in range(2):
        Meter(Runtime(), 2).sample("running", folder)
    meter = Meter(Runtime(), 2)
    meter.sample("gone", folder)
    moments = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 3, tzinfo=UTC)
    seen = Inspection(Phase.EXITED, exit_code=0, started_at=moments[0], finished_at=moments[1])
    figures = meter.final(folder, seen)
    assert figures["samples"] == 2
    assert figures["wall_seconds"] == 3.0
    assert not [key for key in figures if key.startswith("_")]

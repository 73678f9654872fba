"""How fast archives become tables: `python -m benchmarks.ingest [--with dlt,pyspark] [--tenfold]`; exit code 1 when a
target is missed.

200 archives (233 MB of JSON) by turns through a hand-written floor and through ours, each a process of its own. Judged
by processor seconds where one core is compared with one core, because other programs on the machine must not count, and
by the clock where all cores are used. The first run makes the archives in the temp folder; later ones find them there.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.ingest import data, extras
from benchmarks.ingest.figures import Line, load, median
from benchmarks.ingest.watching import ROOT, Watched, fresh, watched

CONTESTANTS = ("dlt", "pyspark")
PARTS = ("floor", "sensors", "memory", "history", "growth")
MB = 1_000_000


class Bench:
    """Every contestant over the same archives."""

    def __init__(self, scratch: Path, options: argparse.Namespace):
        self.scratch = scratch
        self.options = options
        self.python = extras.python_of_users()

    def lines(self) -> Iterator[Line]:
        for part in PARTS:
            if not self.options.only or part in self.options.only:
                yield from getattr(self, part)()
        for name in self.options.contestants:
            yield from self.contestant(name)

    def floor(self) -> Iterator[Line]:
        """Floor and ours, by turns."""
        archives = self.archives
        rounds = [self._round(archives) for _ in range(self.options.runs)]
        floor, alone, one, two = ([each[at] for each in rounds] for at in range(4))
        cpu = _cpu(alone)
        yield Line("floor, processor seconds", _cpu(floor), " s", note=f"{archives.json_bytes / MB:.0f} MB, {load()}")
        yield Line("ours, processor seconds", cpu, " s", note=f"by the clock {_wall(alone):.1f} s")
        yield Line("ours / floor, one core", cpu / _cpu(floor), "", at_most=2)
        yield Line("processor seconds, 2 workers / 1", _cpu(two) / _cpu(one), "", at_most=1.15)
        note = f"{_wall(one):.1f} s to {_wall(two):.1f} s; {load()}"
        yield Line("1 worker / 2 workers, by the clock", _wall(one) / _wall(two), "", at_least=1.6, note=note)
        yield Line("memory, one process", _peak(alone), " MB")
        yield Line("memory, 2 workers and coordinator", _peak(two), " MB")

    def _round(self, archives: data.Archives) -> tuple[Watched, ...]:
        return self.floor_of(archives), *(self.ours(archives, workers) for workers in (0, 1, 2))

    def sensors(self) -> Iterator[Line]:
        """Motion files alone: unzip, parse, validate, flatten, write, commit."""
        archives = data.motion_only(100)
        runs = [(self.floor_of(archives), _report(self.ours(archives, 0))) for _ in range(self.options.runs)]
        floor = median(archives.json_bytes / each.cpu / MB for each, _ in runs)
        speed = median(each["json_bytes"] / each["cpu"] / MB for _, each in runs)
        note = f"the floor, with its start: {floor:.1f} MB; {load()}"
        yield Line("sensor files, JSON per second and core", speed, " MB", at_least=60, note=note)

    def memory(self) -> Iterator[Line]:
        archives = data.one_long_motion(self.options.long)
        run = self.ours(archives, 0)
        note = f"{_report(run)['rows']['MotionRecord_v1']:,} rows"
        name = f"memory, a motion file of {archives.json_bytes / MB:.0f} MB"
        yield Line(name, run.peak / MB, " MB", at_most=256, note=note)

    def history(self) -> Iterator[Line]:
        few, many, batch = data.small(20, 20), data.small(2_000, 1_000), data.small(20, 0)
        folders = few.folder, many.folder, batch.folder
        found = json.loads(self._watched("against_history", *folders, max(3, self.options.runs)).output)
        for which, name in (("large", "in one run"), ("often", "in ten runs")):
            ratio = found[which] / found["small"]
            note = f"{found[which]:.2f} s to {found['small']:.2f} s"
            yield Line(f"20 runs after 100 times as much {name} / after 1", ratio, "", at_most=1.2, note=note)

    def growth(self) -> Iterator[Line]:
        """Twice the records at twice the cost, not more."""
        once, twice = data.archives(data.RECORDS), data.archives(2 * data.RECORDS, data.RECORDS)
        runs = [(self.ours(once, 0).cpu, self.ours(twice, 0).cpu) for _ in range(self.options.runs)]
        ratio = median(more / less for less, more in runs) / 2
        yield Line("cost of a record among 400 / among 200", ratio, "", at_most=1.1)

    def contestant(self, name: str) -> Iterator[Line]:
        """By the clock and all cores, as each is used; beside it the processor seconds."""
        try:
            python = extras.python_for(name)
        except extras.Missing as missing:
            print(f"{name}: skipped: {missing}")
            return
        out = self.scratch / name
        ours = [self.ours(self.archives, 2) for _ in range(self.options.runs)]
        wall, cpu, peak = _wall(ours), _cpu(ours), _peak(ours)
        run = watched([python, ROOT / "benchmarks" / "ingest" / f"with_{name}.py", self.archives.folder, fresh(out)])
        fresh(out)
        note = f"{run.wall:.1f} s to {wall:.1f} s; {load()}"
        yield Line(f"{name} / ours, all cores, by the clock", run.wall / wall, "", at_least=10, note=note)
        yield Line(f"{name} / ours, processor seconds", run.cpu / cpu, "", note=f"{run.cpu:.0f} s to {cpu:.1f} s")
        yield Line(f"{name}, memory", run.peak / MB, " MB", note=f"ours {peak:.0f} MB")

    @property
    def archives(self) -> data.Archives:
        return data.archives(data.RECORDS * (10 if self.options.tenfold else 1))

    def floor_of(self, archives: data.Archives) -> Watched:
        out = fresh(self.scratch / "floor")
        return self._watched("floor", archives.folder, out)

    def ours(self, archives: data.Archives, workers: int) -> Watched:
        warehouse = fresh(self.scratch / "ours")
        run = self._watched("ours", archives.folder, warehouse, workers)
        fresh(warehouse)
        return run

    def _watched(self, module: str, *words: object) -> Watched:
        """As our users run it."""
        return watched([self.python, "-m", f"benchmarks.ingest.{module}", *map(str, words)], extras.OURS)


def _report(run: Watched) -> dict:
    return json.loads(run.output)


def _cpu(runs: list[Watched]) -> float:
    return median(run.cpu for run in runs)


def _wall(runs: list[Watched]) -> float:
    return median(run.wall for run in runs)


def _peak(runs: list[Watched]) -> float:
    return max(run.peak for run in runs) / MB


def _listed(allowed: tuple[str, ...]):
    def names(text: str) -> list[str]:
        found = text.split(",")
        if unknown := set(found) - set(allowed):
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are: {', '.join(allowed)}")
        return found

    return names


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--with", dest="contestants", type=_listed(CONTESTANTS), default=[], metavar="dlt,pyspark")
    parser.add_argument("--only", type=_listed(PARTS), default=[], metavar=",".join(PARTS))
    parser.add_argument("--runs", type=int, default=3, help="of each, by turns; medians count")
    parser.add_argument("--tenfold", action="store_true", help="2,000 archives (2.3 GB of JSON) instead of 200")
    parser.add_argument("--long", type=int, default=1_000_000_000, help="bytes of the long motion file")
    return parser.parse_args()


def main() -> int:
    options = _options()
    missed = []
    with tempfile.TemporaryDirectory(prefix="carrel-bench-run-") as scratch:
        for line in Bench(Path(scratch), options).lines():
            print(line, flush=True)
            if not line.good:
                missed.append(line.name)
    for name in CONTESTANTS:
        if name not in options.contestants:
            print(f"{name}: not run; ask for it by --with {name}")
    return 1 if missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except extras.Missing as missing:
        sys.exit(f"ours and the floor cannot run: {missing}")

"""Everything that changes a warehouse, as functions of texts, for processes that are killed while they are at it."""

from dataclasses import replace
from pathlib import Path

import duckdb  # noqa: F401 (what is imported here need not be imported by every child)
import pyarrow.dataset  # noqa: F401  (likewise)
from tests.support.ingest import MAPPING, Folder, schemas

from carrel.ingest.operations.compaction import LOOK_EVERY, MANY
from carrel.ingest.operations.compaction import compact as merge
from carrel.ingest.operations.copies import copy_dataset
from carrel.ingest.operations.export import export_bridge
from carrel.ingest.operations.ingestion import run
from carrel.ingest.operations.withdrawal import withdraw as remove
from carrel.ingest.run import IngestOptions, Setting, inline
from carrel.synthetic.shapes import TASK_DATA

BROKEN = MAPPING.replace(TASK_DATA, "https://example.org/other.json")
"""A mapping that does not know a schema: its files are passed over."""
POLICIES = {
    policy: f"{MAPPING}datasets: {{Anything_v1: {{policy: {policy}}}}}\n"
    for policy in ("evolve", "variant", "quarantine", "freeze")
}


def take(
    warehouse: str,
    archives: str,
    mapping: str = MAPPING,
    streamed: bool = False,
    batch: int = 5,
    names: tuple[str, ...] = (),
    raw_json: bool = False,
) -> None:
    """A run over all archives, or those of `names`."""
    options = IngestOptions(batch_archives=batch, raw_json=raw_json)
    options = replace(options, stream_from=300, flush_bytes=2_000) if streamed else options
    run(
        Setting(
            warehouse=warehouse,
            source=Folder(Path(archives), tuple(names) or None),
            schemas=schemas(mapping),
            pool=inline(),
            options=options,
        )
    )


def replay(warehouse: str, archives: str, mapping: str = MAPPING) -> None:
    """Take everything again."""
    setting = Setting(
        warehouse=warehouse,
        source=Folder(Path(archives)),
        schemas=schemas(mapping),
        pool=inline(),
        replay=lambda ref: True,
    )
    run(setting)


def withdraw(warehouse: str, archives: str, healthcode: str) -> None:
    """One participant."""
    assert not remove(warehouse, healthcodes=[healthcode]).holding


def export_all(warehouse: str, target: str) -> None:
    """Everything, raw JSON too."""
    for _ in export_bridge(warehouse, target, raw_json=True):
        pass


def compact(warehouse: str, archives: str) -> None:
    """All into one file, and old files away."""
    merge(warehouse, vacuum_hours=0)


def crowd(warehouse: str, archives: str) -> None:
    """As many runs, of an archive each, as leave a warehouse in which the next one merges small files."""
    names = sorted(each.stem for each in Path(archives).glob("*.zip"))
    assert MANY % LOOK_EVERY == 0
    for number in range(MANY - 1):
        take(warehouse, archives, names=(names[number],))


def archive(warehouse: str, archives: str, dataset: str = "MotionRecord_v1") -> None:
    """A copy of one dataset, if it is there."""
    if (Path(warehouse) / "catalog" / f"{dataset}.json").exists():
        copy_dataset(warehouse, dataset)


for each in (MAPPING, BROKEN, *POLICIES.values()):
    schemas(each)

"""Make archives as an app exports them, and the two backends' warehouses of them: `python make_data.py DATA_DIR`.

Nothing is downloaded and nobody was recorded: all of it is made up, the same each time. Each person's archives go to
one backend. May be run again, also after it was killed: archives that are there stay, and ingest takes each once.
"""

import argparse
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from carrel.ingest.mapping import load
from carrel.ingest.operations.ingestion import run
from carrel.ingest.run import Report, Setting, processes
from carrel.ingest.schemas import Schemas, SchemaStore
from carrel.ingest.sources.folder import FolderSource
from carrel.synthetic.knobs import Knobs
from carrel.synthetic.study import SyntheticArchive, generate

HERE = Path(__file__).parent
BACKENDS = ("north", "south")
STUDY = Knobs(
    seed=20,
    records=360,
    participants=80,
    shapes={"task": 3, "self_described": 3, "tapping": 3, "android_legacy": 0.5},
    android=0.3,
    app_versions=(73, 81),
    hz=100,
    seconds=4,
    steps=(5, 10),
    odd_ids=0,
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the warehouses of the backends north and south.")
    parser.add_argument("data_dir", type=Path)
    data_dir = parser.parse_args().data_dir.absolute()
    write_archives(generate(STUDY), data_dir)
    for backend in BACKENDS:
        print(f"{backend}: {sentence(ingest(data_dir, backend))}")


def write_archives(made: Iterable[SyntheticArchive], data_dir: Path) -> None:
    """`archives/<backend>/*.zip`, each with its record's metadata beside it, as a `.json` of the same name."""
    if (data_dir / "archives").exists():
        return
    partial = data_dir / "archives.partial"
    for each in made:
        folder = partial / backend_of(each.metadata["healthcode"])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{each.name}.zip").write_bytes(each.data)
        (folder / f"{each.name}.json").write_text(json.dumps(dict(each.metadata)))
    partial.rename(data_dir / "archives")


def backend_of(person: str) -> str:
    """Half of the people, chosen by a hash, live in the north."""
    return BACKENDS[hashlib.sha256(person.encode()).digest()[0] % 2]


def ingest(data_dir: Path, backend: str) -> Report:
    """What `carrel ingest run` does: archives into the tables of `warehouses/<backend>`."""
    store = SchemaStore(data_dir / "schemas")
    store.add([HERE / "schemas"])
    schemas = Schemas(load(HERE / "mapping.yaml"), store.library())
    source = FolderSource(data_dir / "archives" / backend)
    warehouse = str(data_dir / "warehouses" / backend)
    return run(Setting(warehouse=warehouse, source=source, schemas=schemas, pool=processes()))


def sentence(report: Report) -> str:
    if report.run_id is None:
        return "nothing new"
    rows = sum(report.rows.values())
    return f"{sum(report.dispositions.values())} archives, {rows:,} rows in {len(report.rows)} tables"


if __name__ == "__main__":
    main()

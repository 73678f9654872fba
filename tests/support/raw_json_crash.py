"""Raw JSON that is written, replaced by files of other names, and withdrawn, for a `Forker`: to be killed anywhere."""

from pathlib import Path

from tests.support.ingest import MAPPING, Folder, ingest, schemas
from tests.support.ingest_archives import archive

from carrel.ingest.operations.withdrawal import withdraw
from carrel.ingest.run import IngestOptions

MAPPED = MAPPING + "ignored: {metadata.json: not here}\n"
WITHDRAWN = "record-2"


def archives(folder: Path) -> None:
    """Three records; then a later export of the first two, of another day, with one file in place of two."""
    for number in range(3):
        files = {"anything.json": {"a": number}, "left/anything.json": [{"a": -number}]}
        archive(folder, f"first-{number}", f"record-{number}", files)
    for number in range(2):
        value = {"anything.json": {"a": 10 + number}}
        archive(folder, f"second-{number}", f"record-{number}", value, 2, uploadedon="2024-03-10T00:00:00Z")


def deliver(warehouse: Path | str, archives: Path | str) -> None:
    """The first exports, the later ones, and a withdrawal."""
    folder = Path(archives)
    first = tuple(sorted(path.stem for path in folder.glob("first-*.zip")))
    options = IngestOptions(batch_archives=2, raw_json=True)
    ingest(warehouse, Folder(folder, first), options=options, mapping=MAPPED)
    ingest(warehouse, Folder(folder), options=options, mapping=MAPPED)
    assert not withdraw(str(warehouse), record_ids=[WITHDRAWN]).holding


schemas(MAPPED)  # read once, before any child is forked

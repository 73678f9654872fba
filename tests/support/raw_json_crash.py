"""Raw JSON that is written, replaced by files of other names, and withdrawn: a process that may be killed anywhere.

`python -m tests.support.raw_json_crash WAREHOUSE FOLDER`
"""

import json
import sys
import zipfile
from pathlib import Path

from tests.support.ingest import MAPPING, Folder, ingest

from carrel.ingest.engine import Options
from carrel.ingest.engine.withdrawing import withdraw
from carrel.ingest.generate.shapes import ANYTHING

MAPPED = MAPPING + "ignored: {metadata.json: not here}\n"
WITHDRAWN = "record-2"


def archive(folder: Path, name: str, record: str, files: dict[str, object], **metadata: str) -> None:
    """One archive with its sidecar."""
    about = {"recordid": record, "assessmentid": "any", "assessmentrevision": "1", "healthcode": f"of-{record}"}
    about |= {"uploadedon": "2024-03-09T00:00:00Z", "exportedon": "2024-04-01T00:00:00Z", **metadata}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(about))
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as made:
        told = [{"filename": file, "jsonSchema": ANYTHING} for file in files]
        made.writestr("metadata.json", json.dumps({"files": told}))
        for file, each in files.items():
            made.writestr(file, json.dumps(each))


def archives(folder: Path) -> None:
    """Three records; then a later export of the first two, of another day, with one file in place of two."""
    for number in range(3):
        files = {"anything.json": {"a": number}, "left/anything.json": [{"a": -number}]}
        archive(folder, f"first-{number}", f"record-{number}", files)
    for number in range(2):
        late = {"uploadedon": "2024-03-10T00:00:00Z", "exportedon": "2024-04-02T00:00:00Z"}
        archive(folder, f"second-{number}", f"record-{number}", {"anything.json": {"a": 10 + number}}, **late)


def deliver(warehouse: Path, folder: Path) -> None:
    """The first exports, the later ones, and a withdrawal."""
    first = tuple(sorted(path.stem for path in folder.glob("first-*.zip")))
    options = Options(batch_archives=2, raw_json=True)
    ingest(warehouse, Folder(folder, first), options=options, mapping=MAPPED)
    ingest(warehouse, Folder(folder), options=options, mapping=MAPPED)
    assert not withdraw(str(warehouse), record_ids=[WITHDRAWN]).holding


if __name__ == "__main__":
    deliver(Path(sys.argv[1]), Path(sys.argv[2]))

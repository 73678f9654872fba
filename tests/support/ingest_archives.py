"""Archives made by hand, one record each."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from carrel.synthetic.shapes import ANYTHING


def archive(
    folder: Path, name: str, record: str, files: Mapping[str, object], exported: int = 1, **metadata: str | None
) -> None:
    """`folder/name.zip` and its sidecar. `files`: path -> JSON value, or the text itself; all of dataset Anything.

    `exported`: day of April 2024; `metadata` replaces the record's, None takes a key away.
    """
    about: dict[str, str | None] = {
        "recordid": record,
        "assessmentid": "any",
        "assessmentrevision": "1",
        "healthcode": f"of-{record}",
        "uploadedon": "2024-03-09T00:00:00Z",
        "exportedon": f"2024-04-{exported:02d}T00:00:00Z",
        **metadata,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({key: each for key, each in about.items() if each is not None}))
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as made:
        told = [{"filename": file, "jsonSchema": ANYTHING} for file in files]
        made.writestr("metadata.json", json.dumps({"files": told}))
        for file, each in files.items():
            made.writestr(file, each if isinstance(each, str) else json.dumps(each))

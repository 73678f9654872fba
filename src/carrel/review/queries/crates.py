"""A release's crate held against itself: the bag, the metadata, and that they are of the same files."""

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from carrel.review.anchors import ChainHead
from carrel.review.crate.bag import Bag, BagDamaged, opened_bag
from carrel.review.crate.entities import Entity
from carrel.review.crate.profile import METADATA, faults_of, files_of, graph_of, head_of

NOT_LISTED = frozenset({METADATA, "ro-crate-preview.html"})
"""What of a crate's payload is no released file."""


def crate_fault(path: Path) -> tuple[str, ChainHead | None]:
    """Return the first thing that is wrong with a crate, "" for a whole one, and the audit's head that it names."""
    try:
        with opened_bag(path) as bag:
            if fault := bag.fault():
                return fault, None
            graph = graph_of(json.loads(bag.read(f"data/{METADATA}")))
            faults = faults_of(graph) or _files_that_differ(bag, graph)
            return (faults[0] if faults else ""), head_of(graph)
    except BagDamaged as error:
        return str(error), None
    except (ValueError, RecursionError):
        return f"{METADATA} cannot be read.", None
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}.", None


def _files_that_differ(bag: Bag, graph: Mapping[str, Entity]) -> list[str]:
    """Return what differs between the files that the metadata lists and those of the bag."""
    listed = {f"data/{unquote(name)}": graph[name]["sha256"] for name in files_of(graph)}
    payload = {name for name in bag.paths if name.startswith("data/")} - {f"data/{name}" for name in NOT_LISTED}
    if strangers := sorted(payload ^ listed.keys()):
        return [f"{strangers[0]} is not both in the bag and in {METADATA}."]
    return [
        f"{name} does not have the SHA-256 that {METADATA} says."
        for name, sha256 in listed.items()
        if bag.digest(name, "sha256") != sha256
    ]

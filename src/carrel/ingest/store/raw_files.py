"""Raw JSON of a run: packed by the workers, put in its place under `raw_json/` when the run is decided, file by file.

A worker's pack is one zip file in the run's own folder, so that what it read is nowhere to be seen before; and so that
the many small files of a run are written only once. Names in a pack are numbers: whose a file is, only its key says.
"""

import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from carrel.ingest.store.storage import WarehouseStorage
from carrel.telemetry import faults
from carrel.warehouse.layout import run_key

RAW_JSON = "raw_json"
_KEPT = f"{RAW_JSON}/_KEPT"
_AT_ONCE = 8
"""Files that are put in their places at the same time: most of it is waiting for the disk or bucket."""

Packed = Mapping[str, Mapping[str, str]]
"""pack -> name in it -> key below `raw_json/`"""


def is_kept(storage: WarehouseStorage) -> bool:
    """Whether this warehouse keeps raw JSON: every run does, once one did."""
    return storage.read(_KEPT) is not None


def keep(storage: WarehouseStorage) -> None:
    """From now on it does. The name is one that readers of the folder ignore."""
    storage.write(_KEPT, b"Every run of carrel ingest keeps raw JSON here. Delete this folder to end that.\n")


class PackWriter:
    """One worker's pack. `close` gives it to the warehouse."""

    def __init__(self, storage: WarehouseStorage, run_id: str, name: str):
        self.storage = storage
        self.key = run_key(run_id, f"raw/{name}-{os.urandom(4).hex()}.zip")
        self.local = storage.scratch(run_id) / self.key.rpartition("/")[2]
        self.count = 0
        self._zip = zipfile.ZipFile(self.local, "w", zipfile.ZIP_DEFLATED, compresslevel=1)

    @contextmanager
    def file(self) -> Iterator[tuple[str, IO[bytes]]]:
        """(name in the pack, where to write it); one at a time."""
        name = f"{self.count:08d}"
        self.count += 1
        with self._zip.open(name, "w", force_zip64=True) as stream:
            yield name, stream

    def close(self) -> None:
        """Durable afterwards, and nowhere to be seen; an empty one is thrown away."""
        self._zip.close()
        if self.count:
            self.storage.put_file(self.local, self.key)
            faults.point("ingest.raw_packed")
        else:
            self.local.unlink()


def prepare(storage: WarehouseStorage, run_id: str, packed: Packed, replaced: Sequence[str]) -> None:
    """Write down what `publish` will do: before the decision, because that is all it needs then."""
    todo = {"write": packed, "delete": list(replaced)}
    storage.write(_todo(run_id), json.dumps(todo).encode())


def publish(storage: WarehouseStorage, run_id: str) -> None:
    """Put every file in its place, and take away those that they replace. Done twice, it comes to the same."""
    todo = json.loads(storage.read(_todo(run_id)) or b'{"write": {}, "delete": []}')
    for pack, files in sorted(todo["write"].items()):
        _unpack(storage, run_id, pack, files)
    for key in todo["delete"]:
        storage.delete(f"{RAW_JSON}/{key}")
        faults.point("ingest.raw_deleted")


def _unpack(storage: WarehouseStorage, run_id: str, pack: str, files: Mapping[str, str]) -> None:
    scratch = storage.scratch(run_id)

    def put(item: tuple[str, str]) -> None:
        name, key = item
        local = scratch / f"{Path(pack).stem}-{name}"
        with opened.open(name) as stream, local.open("wb") as file:
            shutil.copyfileobj(stream, file, 1_000_000)
        storage.put_file(local, f"{RAW_JSON}/{key}")
        faults.point("ingest.raw_published")

    with storage.open(pack) as data, zipfile.ZipFile(data) as opened, ThreadPoolExecutor(_AT_ONCE) as threads:
        for _ in threads.map(put, sorted(files.items())):
            pass  # waits for all, and raises what the first one raised


def discard(storage: WarehouseStorage, run_id: str) -> None:
    """Away with the run's packs: first what says that there is something to do with them."""
    storage.delete(_todo(run_id))
    storage.delete(run_key(run_id, "raw"))


def _todo(run_id: str) -> str:
    return run_key(run_id, "raw/todo.json")

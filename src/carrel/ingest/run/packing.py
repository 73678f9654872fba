"""Raw JSON of a batch: each file that is taken, as one line, into the worker's pack."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from carrel.ingest.run.values import RawFile
from carrel.ingest.store import WarehouseStorage
from carrel.ingest.store.raw_files import PackWriter
from carrel.ingest.tables.raw_json import END, RawJson, raw_json_key
from carrel.ingest.values import Lineage

_AT_ONCE = 10_000
"""Elements of a list that are copied with the record's fields at a time."""
_Place = tuple[str, str, str]
"""(archive uri, etag, source file)"""


class Packer:
    """Packs files as they are taken; those that are rejected afterwards are left out again."""

    def __init__(self, storage: WarehouseStorage, run_id: str, name: str):
        self.pack = PackWriter(storage, run_id, name)
        self._files: dict[_Place, RawFile] = {}

    def add(self, lineage: Lineage, dataset: str, value: Any, is_alone: bool) -> None:
        """One file. `is_alone`: the only one of its archive that belongs to the dataset."""
        if isinstance(value, list):
            with self.blocks(lineage, dataset, is_alone) as add:
                for start in range(0, len(value), _AT_ONCE):
                    add(value[start : start + _AT_ONCE])
            return
        with self.pack.file() as (name, stream):
            stream.write(RawJson(dataset, lineage.record).line(value))
        self._note(lineage, dataset, is_alone, name)

    @contextmanager
    def blocks(self, lineage: Lineage, dataset: str, is_alone: bool) -> Iterator[Callable[[Sequence[Any]], None]]:
        """One file, a list, block by block: call what this gives with each. After an exception the file is left out."""
        raw = RawJson(dataset, lineage.record)
        with self.pack.file() as (name, stream):
            is_first = True

            def add(block: Sequence[Any]) -> None:
                nonlocal is_first
                if block:
                    stream.write(raw.piece(block, is_first))
                    is_first = False

            yield add
            stream.write(b"[" + END if is_first else END)
        self._note(lineage, dataset, is_alone, name)

    def _note(self, lineage: Lineage, dataset: str, is_alone: bool, name: str) -> None:
        key = raw_json_key("", dataset, lineage.record, None if is_alone else lineage.source_file).lstrip("/")
        archive = lineage.archive_uri, lineage.archive_etag
        made = RawFile(lineage.record.record_id, archive, lineage.source_file, self.pack.key, name, key)
        self._files[(*archive, lineage.source_file)] = made

    def leave_out(self, archive: tuple[str, str], source_file: str | None = None) -> None:
        """Not this file; None: none of the archive."""
        for place in [each for each in self._files if each[:2] == archive and source_file in (None, each[2])]:
            del self._files[place]

    def close(self) -> tuple[RawFile, ...]:
        """Everything that was packed and not left out."""
        self.pack.close()
        return tuple(self._files.values())

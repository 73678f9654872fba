"""Raw JSON of a batch: each file that is taken, as one line, into the worker's pack."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from carrel.ingest.run.values import RawFile
from carrel.ingest.store import WarehouseStorage
from carrel.ingest.store.raw_files import PackWriter
from carrel.ingest.tables.raw_json import END, RawJson, raw_json_key
from carrel.ingest.values import Lineage

_BLOCK_ELEMENTS = 10_000
"""Elements of a list that are copied with the record's fields at a time."""
_FileKey = tuple[str, str, str]
"""(archive uri, etag, source file)"""


class Packer:
    """Packs files as they are taken; those that are rejected afterwards are left out again."""

    def __init__(self, storage: WarehouseStorage, run_id: str, name: str):
        self.pack = PackWriter(storage, run_id, name)
        self._files: dict[_FileKey, RawFile] = {}

    def add(self, lineage: Lineage, dataset: str, value: Any, is_alone: bool) -> None:
        """Pack one file. `is_alone`: the only one of its archive that belongs to the dataset."""
        if isinstance(value, list):
            with self.blocks(lineage, dataset, is_alone) as add:
                for start in range(0, len(value), _BLOCK_ELEMENTS):
                    add(value[start : start + _BLOCK_ELEMENTS])
            return
        with self.pack.file() as (name, stream):
            stream.write(RawJson(dataset, lineage.record).line(value))
        self._note(lineage, dataset, is_alone, name)

    @contextmanager
    def blocks(self, lineage: Lineage, dataset: str, is_alone: bool) -> Iterator[Callable[[Sequence[Any]], None]]:
        """Pack one file, a list, block by block: call what this gives with each. After an
        exception the file is left out."""
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
        self._files[*archive, lineage.source_file] = RawFile(
            record_id=lineage.record.record_id,
            archive=archive,
            source_file=lineage.source_file,
            pack=self.pack.key,
            name=name,
            key=key,
        )

    def leave_out(self, archive: tuple[str, str], source_file: str | None = None) -> None:
        """Leave this file out; None: all of the archive."""
        for key in [key for key in self._files if key[:2] == archive and source_file in (None, key[2])]:
            del self._files[key]

    def close(self) -> tuple[RawFile, ...]:
        """Finish the pack; everything that is in it and was not left out."""
        self.pack.close()
        return tuple(self._files.values())

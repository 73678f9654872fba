"""The engine as the Lambda uses it: archives that a queue told of, in this process, committed at once."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from carrel.ingest.aws.counts import log_report
from carrel.ingest.aws.work import Busy, IngestArchives, StudyPipeline
from carrel.ingest.aws_access import Aws
from carrel.ingest.sources.base import OpenedArchive, Source, SourceProblem
from carrel.ingest.sources.s3 import open_object
from carrel.ingest.values import ArchiveRef

if TYPE_CHECKING:
    from carrel.ingest.schemas import Schemas


def make_ingester(mapping: Path | None) -> IngestArchives:
    """Make what ingests archives in this process. `mapping`: a folder with `mapping.yaml` (laid over the shipped one;
    may be missing) and the store `schemas/`."""
    from carrel.ingest.operations.ingestion import run
    from carrel.ingest.run import IngestOptions, Setting, inline
    from carrel.ingest.store import WarehouseBusy

    schemas = load_schemas(mapping)

    def ingest(study: StudyPipeline, archives: Sequence[ArchiveRef]) -> Collection[str]:
        source = ListedSource(archives)
        # In this process: a Lambda has no shared memory, without which Python's process pools do not start.
        try:
            log_report(
                run(
                    Setting(
                        warehouse=study.warehouse,
                        source=source,
                        schemas=schemas,
                        pool=inline(),
                        options=IngestOptions(app_id=study.app),
                    )
                )
            )
        except WarehouseBusy as busy:
            raise Busy(str(busy)) from None
        return source.acknowledged

    return ingest


def load_schemas(mapping: Path | None) -> "Schemas":
    """The mapping and the schemas of a folder; None: the shipped mapping and no schemas."""
    from carrel.ingest.mapping.loader import load
    from carrel.ingest.schemas import Schemas, SchemaStore
    from carrel.ingest.schemas.library import Library

    if mapping is None:
        return Schemas(load(), Library())
    own = mapping / "mapping.yaml"
    return Schemas(load(own if own.is_file() else None), SchemaStore(mapping / "schemas").library())


class ListedSource:
    """The source of archives that somebody else listed, all in S3. It remembers what was acknowledged."""

    def __init__(self, refs: Iterable[ArchiveRef], aws: Aws | None = None):
        self.refs = tuple(refs)
        self.aws = aws or Aws()
        self.acknowledged: set[str] = set()

    def list(self) -> Iterator[ArchiveRef]:
        """The archives that it was made with."""
        return iter(self.refs)

    def open(self, ref: ArchiveRef) -> AbstractContextManager[OpenedArchive]:
        """The object with the etag that was listed."""
        opened: AbstractContextManager[OpenedArchive] = open_object(self.aws, ref)
        return opened

    def acknowledge(self, refs: Iterable[ArchiveRef]) -> None:
        """Remember them: the queue's message is acknowledged by Lambda, when all of it is settled."""
        self.acknowledged.update(ref.uri for ref in refs)

    def problems(self) -> tuple[SourceProblem, ...]:
        """None: messages that tell of no archive went another way."""
        return ()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *details: object) -> None:
        return None

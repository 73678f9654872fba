"""A source by how it is written on the command line."""

import re

from carrel.ingest.sources.aws import Aws
from carrel.ingest.sources.base import Source

_QUEUE = re.compile(r"^sqs:(?P<url>.+)$")


def source_of(place: str, aws: Aws | None = None, **queue: object) -> Source:
    """`s3://bucket/prefix`, `sqs:<queue URL>`, `synapse:syn123`, or a folder, file or glob. `queue`: options of
    SqsSource.

    Raises SourceFault when the place cannot be one; whether it is there, only `list` says.
    """
    from carrel.ingest.sources.folder import FolderSource
    from carrel.ingest.sources.s3 import S3Source
    from carrel.ingest.sources.sqs import SqsSource

    if place.startswith("s3:"):
        return S3Source(place, aws or Aws())
    found = _QUEUE.match(place)
    if found:
        return SqsSource(found["url"], aws, **queue)  # type: ignore[arg-type]
    if place.startswith("synapse:"):
        from carrel.ingest.sources.synapse import SynapseSource

        return SynapseSource(place.removeprefix("synapse:"))
    return FolderSource(place)

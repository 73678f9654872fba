"""Where archives come from: folders, S3, queues; one Protocol."""

from carrel.ingest.sources.aws import Aws
from carrel.ingest.sources.base import (
    AccessRefused,
    ArchiveChanged,
    OpenedArchive,
    Source,
    SourceFault,
    SourceProblem,
    Unavailable,
)
from carrel.ingest.sources.opening import source_of, whole_source_of

__all__ = [
    "AccessRefused",
    "ArchiveChanged",
    "Aws",
    "OpenedArchive",
    "Source",
    "SourceFault",
    "SourceProblem",
    "Unavailable",
    "source_of",
    "whole_source_of",
]

"""Where archives come from: folders, S3, queues; one Protocol."""

from carrel.ingest.access_faults import AccessRefused, SourceFault, Unavailable
from carrel.ingest.sources.base import ArchiveChanged, OpenedArchive, Source, SourceProblem
from carrel.ingest.sources.locations import source_of, whole_source_of

__all__ = [
    "AccessRefused",
    "ArchiveChanged",
    "OpenedArchive",
    "Source",
    "SourceFault",
    "SourceProblem",
    "Unavailable",
    "source_of",
    "whole_source_of",
]

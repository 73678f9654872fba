"""Where archives come from: folders, S3, queues; one Protocol."""

from carrel.ingest.sources.aws import Aws
from carrel.ingest.sources.base import Changed, Fetched, Problem, Refused, Source, SourceFault, Unavailable
from carrel.ingest.sources.opening import source_of, whole_source_of

__all__ = [
    "Aws",
    "Changed",
    "Fetched",
    "Problem",
    "Refused",
    "Source",
    "SourceFault",
    "Unavailable",
    "source_of",
    "whole_source_of",
]

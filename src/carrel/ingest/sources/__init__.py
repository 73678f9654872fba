"""Where archives come from: folders, S3, queues, Synapse; one Protocol."""

from carrel.ingest.sources.base import Changed, Fetched, Problem, Refused, Source, SourceFault, Unavailable

__all__ = ["Changed", "Fetched", "Problem", "Refused", "Source", "SourceFault", "Unavailable"]

"""A source by how it is written, on the command line or in a configuration."""

import re
from typing import Any

from carrel.ingest.access_faults import SourceFault
from carrel.ingest.aws_access import Aws
from carrel.ingest.sources.base import Source
from carrel.ingest.sources.folder import FolderSource, path_of

FORMS = "a folder, a file, a glob, s3://bucket/prefix, sqs:QUEUE-URL or synapse:syn123"
"""Every way to name a source, for help and errors."""
_SCHEME = re.compile(r"^(?P<name>[A-Za-z][A-Za-z0-9+.-]+):(?P<rest>.*)$", re.DOTALL)


def source_of(place: str, aws: Aws | None = None, **queue: Any) -> Source:
    """The source that `place` names, in one of FORMS. `queue`: options of SqsSource.

    Raises SourceFault when the place cannot be one; whether it is there, only `list` says.
    """
    found = _SCHEME.match(place)
    name, rest = (found["name"].lower(), found["rest"]) if found else ("", "")
    if name == "s3":
        from carrel.ingest.sources.s3 import S3Source

        return S3Source(place, aws or Aws())
    if name == "sqs":
        return _queue(place, rest, aws, queue)
    if name == "synapse":
        from carrel.ingest.sources.synapse import parse_source

        return parse_source(rest)
    if name == "file":
        return FolderSource(path_of(place))
    source = FolderSource(place)
    if name and not source.is_there():
        raise SourceFault(f"{place} is no source; write {FORMS}")
    return source


def whole_source_of(place: str) -> Source:
    """A source that lists everything there is. A queue does not: it tells of what is new, and looking at its messages
    counts as having tried them. Raises SourceFault.
    """
    from carrel.ingest.sources.sqs import SqsSource

    source = source_of(place)
    if isinstance(source, SqsSource):
        raise SourceFault(
            f"{place}: a queue tells only of what is new; name the place where the archives lie, as s3://bucket/prefix"
        )
    return source


def _queue(place: str, url: str, aws: Aws | None, options: dict[str, Any]) -> Source:
    from carrel.ingest.sources.sqs import SqsSource

    if not re.match(r"^https?://[^/]+/.+", url):
        raise SourceFault(f"{place} names no queue; write sqs: and the queue's whole URL, as sqs:https://...")
    return SqsSource(url, aws, **options)

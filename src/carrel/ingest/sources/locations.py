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


def source_of(text: str, aws: Aws | None = None, **queue: Any) -> Source:
    """The source that `text` names, in one of FORMS. `queue`: options of SqsSource.

    Raises SourceFault when the text cannot name one; whether it is there, only `list` says.
    """
    match = _SCHEME.match(text)
    name, rest = (match["name"].lower(), match["rest"]) if match else ("", "")
    if name == "s3":
        from carrel.ingest.sources.s3 import S3Source

        return S3Source(text, aws or Aws())
    if name == "sqs":
        from carrel.ingest.sources.sqs import SqsSource

        if not re.match(r"^https?://[^/]+/.+", rest):
            raise SourceFault(f"{text} names no queue; write sqs: and the queue's whole URL, as sqs:https://...")
        return SqsSource(rest, aws, **queue)
    if name == "synapse":
        from carrel.ingest.sources.synapse import parse_source

        return parse_source(rest)
    if name == "file":
        return FolderSource(path_of(text))
    source = FolderSource(text)
    if name and not source.is_there():
        raise SourceFault(f"{text} is no source; write {FORMS}")
    return source


def whole_source_of(text: str) -> Source:
    """A source that lists everything there is. A queue does not: it tells of what is new, and looking at its messages
    counts as having tried them. Raises SourceFault.
    """
    from carrel.ingest.sources.sqs import SqsSource

    source = source_of(text)
    if isinstance(source, SqsSource):
        raise SourceFault(
            f"{text}: a queue tells only of what is new; name the place where the archives lie, as s3://bucket/prefix"
        )
    return source

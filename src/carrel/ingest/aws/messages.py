"""What the Lambda's queue delivers: which archives are new (read by `sources.messages`), and for which studies."""

from dataclasses import dataclass

from carrel.ingest.sources.messages import NotUnderstood, objects_of, unwrap
from carrel.ingest.sources.s3 import uri_of


@dataclass(frozen=True, slots=True)
class Notice:
    """An archive has arrived. `studies` None: the message names none, so it is for the study that owns the queue."""

    bucket: str
    key: str
    studies: frozenset[str] | None = None
    app: str | None = None

    @property
    def uri(self) -> str:
        """As every source of S3 writes it, so that a backfill finds it in the ledger."""
        return uri_of(self.bucket, self.key)


def notices_of(body: str) -> tuple[Notice, ...]:
    """The archives that one message tells of; none for S3's test message and for deletions. Raises NotUnderstood.

    Of a Bridge message, bucket and key come from the app-level block; the study-level blocks only say which studies.
    """
    objects = objects_of(body)
    message = unwrap(body)
    studies: frozenset[str] | None = None
    app: str | None = None
    if "record" in message:
        records = message.get("studyRecords")
        if not isinstance(records, dict) or not records:
            raise NotUnderstood("studyRecords names no study")
        studies = frozenset(records)
        app = message["appId"] if isinstance(message.get("appId"), str) else None
    return tuple(Notice(listed.bucket, listed.key, studies, app) for listed in objects)

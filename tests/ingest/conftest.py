"""For every test of ingest: `s3`, on demand."""

from tests.support.s3 import s3, s3_address

__all__ = ["s3", "s3_address"]

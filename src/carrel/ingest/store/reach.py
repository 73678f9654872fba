"""How to reach S3: endpoint, region and credentials, found once and handed alike to boto3, delta-rs and Arrow."""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from carrel.ingest.store.addresses import WarehouseFault
from carrel.units.words import is_true

if TYPE_CHECKING:
    from pyarrow import fs

_AMAZON = re.compile(r"s3([.-][a-z0-9-]+)*\.amazonaws\.com(\.cn)?")
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
_TIMEOUTS = {"connect": 10.0, "read": 60.0}
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Reach:
    """One moment's way to S3. `endpoint`: None for AWS itself. Made anew when needed, since credentials may expire."""

    endpoint: str | None
    region: str
    key: str
    secret: str
    token: str | None

    def delta_options(self) -> dict[str, str]:
        """For delta-rs. A commit is a conditional PUT, so that of two writers of one version only one wins; whatever
        the environment says of it."""
        options = {
            "aws_region": self.region,
            "aws_access_key_id": self.key,
            "aws_secret_access_key": self.secret,
            "aws_conditional_put": "etag",
            "aws_s3_allow_unsafe_rename": "false",
            "aws_virtual_hosted_style_request": "false",
        }
        if self.token:
            options["aws_session_token"] = self.token
        if self.endpoint:
            options["aws_endpoint"] = self.endpoint
            options["aws_allow_http"] = "true" if self.endpoint.startswith("http://") else "false"
        return options

    def arrow(self) -> "fs.S3FileSystem":
        """Arrow's own file system."""
        return _arrow(self)


@lru_cache(maxsize=4)
def _arrow(reach: Reach) -> "fs.S3FileSystem":
    from pyarrow import fs

    endpoint = urlsplit(reach.endpoint) if reach.endpoint else None
    return fs.S3FileSystem(
        access_key=reach.key,
        secret_key=reach.secret,
        session_token=reach.token,
        region=reach.region,
        scheme=endpoint.scheme if endpoint else "https",
        endpoint_override=endpoint.netloc + endpoint.path if endpoint else None,
        connect_timeout=_TIMEOUTS["connect"],
        request_timeout=_TIMEOUTS["read"],
    )


class Way:
    """boto3's client for one environment, and what it found out: the one place where settings of AWS are read.

    AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL; AWS_REGION or AWS_DEFAULT_REGION; credentials as the AWS command line finds
    them; AWS_ALLOW_HTTP. What is not in the environment may be in the profile.
    """

    def __init__(self) -> None:
        import boto3
        from botocore.config import Config

        self.session = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 5},
            connect_timeout=_TIMEOUTS["connect"],
            read_timeout=_TIMEOUTS["read"],
        )
        self.client = self.session.client("s3", config=config)
        self.endpoint = _own(self.client.meta.endpoint_url)
        self._regions: dict[str, str] = {}

    def reach(self, bucket: str) -> Reach:
        """Now. WarehouseFault when there are no credentials."""
        with in_our_words(f"s3://{bucket}"):
            found = self.session.get_credentials()
            held = found.get_frozen_credentials() if found else None
        if held is None or not held.access_key or not held.secret_key:
            raise WarehouseFault(f"s3://{bucket}: there are no AWS credentials; set them as for the AWS command line")
        return Reach(self.endpoint, self._region(bucket), held.access_key, held.secret_key, held.token)

    def _region(self, bucket: str) -> str:
        region: str | None = self.session.region_name
        if region is None:
            region = self._regions.setdefault(bucket, self._regions.get(bucket) or self._asked(bucket))
        return region

    def _asked(self, bucket: str) -> str:
        """S3 names a bucket's region even to who may not look into it."""
        from botocore.exceptions import ClientError

        try:
            with in_our_words(f"s3://{bucket}"):
                answer = self.client.head_bucket(Bucket=bucket)
        except ClientError as error:
            answer = error.response
        headers = answer["ResponseMetadata"].get("HTTPHeaders", {})
        return str(headers.get("x-amz-bucket-region") or "us-east-1")


def _own(endpoint: str) -> str | None:
    """None for AWS itself. Health data goes in clear to nobody else by mistake."""
    parts = urlsplit(endpoint)
    if _AMAZON.fullmatch(parts.hostname or ""):
        return None
    allowed = is_true(os.environ.get("AWS_ALLOW_HTTP", ""))
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not allowed:
        raise WarehouseFault(
            f"the S3 endpoint {endpoint} is not encrypted; use https://, or set AWS_ALLOW_HTTP=true if none listens"
        )
    return endpoint.rstrip("/")


_lock = threading.Lock()


def way() -> Way:
    """The environment's, as it is now; kept as long as it stays so."""
    with _lock:
        return _way(tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_"))))


@lru_cache(maxsize=4)
def _way(environment: tuple[tuple[str, str], ...]) -> Way:
    with in_our_words("S3"):
        return Way()


@contextmanager
def in_our_words(what: str) -> Iterator[None]:
    """Faults of S3 and of the way there as WarehouseFault; errors about one object come through as ClientError."""
    from carrel.ingest.sources.aws import in_our_words as told
    from carrel.ingest.sources.base import SourceFault

    try:
        with told(what):
            yield
    except SourceFault as fault:
        raise WarehouseFault(str(fault)) from None


def code_of(error: Any) -> str:
    """The error code of a ClientError."""
    return str(error.response.get("Error", {}).get("Code", ""))

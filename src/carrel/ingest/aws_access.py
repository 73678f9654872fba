"""How AWS, or what speaks like it, is reached: sessions, clients and credentials, and its errors in our words.

Sources and the Lambda call services by `Aws`. A warehouse is in S3 by `S3Access`, which finds endpoint, region and
credentials once and hands them alike to boto3, delta-rs and Arrow.
"""

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from carrel.ingest.access_faults import AccessRefused, Forbidden, InvalidName, SourceFault, Unavailable, WarehouseFault
from carrel.units.words import is_true

if TYPE_CHECKING:
    from pyarrow import fs

Answer = TypeVar("Answer")

_EXPIRED = frozenset(
    ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidToken", "TokenRefreshRequired")
)
_REFUSED = frozenset(
    (
        *("InvalidAccessKeyId", "SignatureDoesNotMatch"),
        *("AuthorizationHeaderMalformed", "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSecurity"),
        *("IncompleteSignature", "MissingAuthenticationToken"),
    )
)
_FORBIDDEN = frozenset(("AccessDenied", "AccessDeniedException", "403"))
_ABSENT = frozenset(("NoSuchBucket", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"))
_AMAZON = re.compile(r"s3([.-][a-z0-9-]+)*\.amazonaws\.com(\.cn)?")
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
_ATTEMPTS = 5
_CONNECT_SECONDS = 10.0
_READ_SECONDS = 60.0
_NO_CREDENTIALS = "there are no AWS credentials; set them as for the AWS command line"


@dataclass(frozen=True, slots=True)
class Aws:
    """How to reach AWS. Credentials come from where boto3 looks for them, never from here. Picklable."""

    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None
    attempts: int = _ATTEMPTS
    timeout: float = _READ_SECONDS
    """Seconds without a byte after which a call is tried again."""

    def client(self, service: str) -> Any:
        """This process's client; threads may share it."""
        with _lock:
            if (self, service) not in _clients:
                config = _config(self.attempts, self.timeout)
                session = _session(self.profile, self.region)
                _clients[self, service] = session.client(service, endpoint_url=self.endpoint, config=config)
            return _clients[self, service]

    def forget(self, service: str) -> None:
        """The next client looks for credentials anew."""
        with _lock:
            _clients.pop((self, service), None)

    def call(self, service: str, what: str, use: Callable[[Any], Answer]) -> Answer:
        """`use(client)`; once more with fresh credentials when they have expired. Raises AccessRefused, Unavailable,
        SourceFault; errors about one object come through as ClientError.
        """
        from botocore.exceptions import ClientError

        with as_source_faults(what):
            try:
                return use(self.client(service))
            except ClientError as error:
                if code_of(error) not in _EXPIRED:
                    raise
                self.forget(service)
                return use(self.client(service))


_clients: dict[tuple[Aws, str], Any] = {}
_lock = threading.Lock()


def _session(profile: str | None = None, region: str | None = None) -> Any:
    """boto3 alone does not look at AWS_REGION, which containers and functions have."""
    import boto3

    return boto3.Session(profile_name=profile, region_name=region or os.environ.get("AWS_REGION") or None)


def _config(attempts: int = _ATTEMPTS, timeout: float = _READ_SECONDS) -> Any:
    from botocore.config import Config

    return Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=min(timeout, _CONNECT_SECONDS),
        read_timeout=timeout,
    )


@dataclass(frozen=True, slots=True)
class S3Connection:
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
def _arrow(connection: S3Connection) -> "fs.S3FileSystem":
    from pyarrow import fs

    endpoint = urlsplit(connection.endpoint) if connection.endpoint else None
    return fs.S3FileSystem(
        access_key=connection.key,
        secret_key=connection.secret,
        session_token=connection.token,
        region=connection.region,
        scheme=endpoint.scheme if endpoint else "https",
        endpoint_override=endpoint.netloc + endpoint.path if endpoint else None,
        connect_timeout=_CONNECT_SECONDS,
        request_timeout=_READ_SECONDS,
    )


class S3Access:
    """boto3's client for one environment, and what it found out about that.

    AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL; AWS_REGION or AWS_DEFAULT_REGION; credentials as the AWS command line finds
    them; AWS_ALLOW_HTTP. What is not in the environment may be in the profile.
    """

    def __init__(self) -> None:
        self.session = _session()
        self.client = self.session.client("s3", config=_config())
        self.endpoint = _own_endpoint(self.client.meta.endpoint_url)
        self._regions: dict[str, str] = {}

    def connection(self, bucket: str) -> S3Connection:
        """With the credentials of this moment. WarehouseFault when there are none."""
        with as_warehouse_faults(f"s3://{bucket}"):
            provider = self.session.get_credentials()
            credentials = provider.get_frozen_credentials() if provider else None
        if credentials is None or not credentials.access_key or not credentials.secret_key:
            raise WarehouseFault(f"s3://{bucket}: {_NO_CREDENTIALS}")
        region = self.session.region_name or self._region_of(bucket)
        return S3Connection(self.endpoint, region, credentials.access_key, credentials.secret_key, credentials.token)

    def _region_of(self, bucket: str) -> str:
        """S3 names a bucket's region even to who may not look into it."""
        from botocore.exceptions import ClientError

        if bucket not in self._regions:
            try:
                with as_warehouse_faults(f"s3://{bucket}"):
                    answer = self.client.head_bucket(Bucket=bucket)
            except ClientError as error:
                answer = error.response
            headers = answer["ResponseMetadata"].get("HTTPHeaders", {})
            self._regions[bucket] = str(headers.get("x-amz-bucket-region") or "us-east-1")
        return self._regions[bucket]


def _own_endpoint(endpoint: str) -> str | None:
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


_environment_lock = threading.Lock()


def s3_access() -> S3Access:
    """The environment's, as it is now; kept as long as it stays so."""
    with _environment_lock:
        return _s3_access(tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_"))))


@lru_cache(maxsize=4)
def _s3_access(environment: tuple[tuple[str, str], ...]) -> S3Access:
    with as_warehouse_faults("S3"):
        return S3Access()


def code_of(error: Any) -> str:
    """The error code of a ClientError."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def as_warehouse_faults(what: str) -> Iterator[None]:
    """Faults of S3 and of the way there as WarehouseFault; errors about one object come through as ClientError."""
    try:
        with as_source_faults(what):
            yield
    except SourceFault as fault:
        raise WarehouseFault(str(fault)) from None


@contextmanager
def as_source_faults(what: str) -> Iterator[None]:
    """Faults of AWS and of the way there as SourceFault; ClientError for what only the caller can judge."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        NoRegionError,
        ParamValidationError,
        PartialCredentialsError,
        ProfileNotFound,
    )

    try:
        yield
    except (NoCredentialsError, PartialCredentialsError, ProfileNotFound):
        raise AccessRefused(f"{what}: {_NO_CREDENTIALS}") from None
    except NoRegionError:
        raise AccessRefused(f"{what}: AWS wants to know the region; set AWS_DEFAULT_REGION, as us-east-1") from None
    except ClientError as error:
        _translate(what, error)
        raise
    except ParamValidationError:
        raise InvalidName(f"{what}: AWS takes no such name; check that of the bucket, object or queue") from None
    except BotoCoreError as error:
        raise Unavailable(f"{what}: AWS cannot be reached ({type(error).__name__}); try again") from None


def _translate(what: str, error: Any) -> None:
    code = code_of(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _EXPIRED:
        raise AccessRefused(f"{what}: the AWS credentials have expired; renew them and run again") from None
    if code in _FORBIDDEN | _REFUSED:
        kind = Forbidden if code in _FORBIDDEN else AccessRefused
        raise kind(f"{what}: AWS refused ({code}); check the credentials and what they allow") from None
    if code in _ABSENT:
        raise SourceFault(f"{what}: it does not exist ({code}); check the name and the region") from None
    if status >= 500 or code in ("SlowDown", "ThrottlingException", "RequestTimeout"):
        raise Unavailable(f"{what}: AWS answered {code or status}, several times; try again later") from None

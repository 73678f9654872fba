"""Clients of AWS (or what speaks like it), and its errors in our words."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from carrel.ingest.sources.base import AccessRefused, Forbidden, InvalidName, SourceFault, Unavailable

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


@dataclass(frozen=True, slots=True)
class Aws:
    """How to reach AWS. Credentials come from where boto3 looks for them, never from here. Picklable."""

    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None
    attempts: int = 5
    timeout: float = 60.0
    """Seconds without a byte after which a call is tried again."""

    def client(self, service: str) -> Any:
        """This process's client; threads may share it."""
        with _lock:
            if (self, service) not in _clients:
                _clients[self, service] = self._make(service)
            return _clients[self, service]

    def forget(self, service: str) -> None:
        """The next client looks for credentials anew."""
        with _lock:
            _clients.pop((self, service), None)

    def _make(self, service: str) -> Any:
        import boto3
        from botocore.config import Config

        config = Config(
            retries={"mode": "standard", "total_max_attempts": self.attempts},
            connect_timeout=min(self.timeout, 10.0),
            read_timeout=self.timeout,
        )
        # boto3 alone does not look at AWS_REGION, which containers and functions have.
        region = self.region or os.environ.get("AWS_REGION") or None
        session = boto3.Session(profile_name=self.profile, region_name=region)
        return session.client(service, endpoint_url=self.endpoint, config=config)

    def call(self, service: str, what: str, use: Callable[[Any], Answer]) -> Answer:
        """`use(client)`; once more with fresh credentials when they have expired. Raises AccessRefused, Unavailable,
        SourceFault; errors about one object come through as ClientError.
        """
        from botocore.exceptions import ClientError

        with in_our_words(what):
            try:
                return use(self.client(service))
            except ClientError as error:
                if code_of(error) not in _EXPIRED:
                    raise
                self.forget(service)
                return use(self.client(service))


_clients: dict[tuple[Aws, str], Any] = {}
_lock = threading.Lock()


def code_of(error: Any) -> str:
    """The error code of a ClientError."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def in_our_words(what: str) -> Iterator[None]:
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
        raise AccessRefused(f"{what}: there are no AWS credentials; set them as for the AWS command line") from None
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

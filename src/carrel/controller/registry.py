"""A container registry, asked one thing: which digest a tag stands for (Docker Registry HTTP API v2).

Authentication as the registry asks for it: none, basic, or the bearer-token dance (with or without a password).
"""

import base64
import hashlib
import ipaddress
import re
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx

from carrel.units.answers import ask

TIMEOUT = httpx.Timeout(5.0, connect=3.0)
MANIFEST_TYPES = ", ".join(
    [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ]
)
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class RegistryError(Exception):
    """The registry gave no digest. Infrastructure fault, unless it is ImageNotFound."""


class ImageNotFound(RegistryError):
    """The registry has no such image or tag, or will not show it to us."""


@dataclass(frozen=True, slots=True)
class Reference:
    """`host/path:tag`, taken apart as container engines do."""

    host: str
    path: str
    tag: str

    @classmethod
    def parse(cls, image: str) -> Self:
        """A first part without a dot or colon is no host: the image is then Docker Hub's."""
        first, slash, rest = image.partition("/")
        if not slash or not ("." in first or ":" in first or first == "localhost"):
            first, rest = "registry-1.docker.io", image if slash else f"library/{image}"
        path, colon, tag = rest.rpartition(":")
        return cls(first, path if colon else rest, tag if colon else "latest")

    @property
    def on_this_machine(self) -> bool:
        name = urlsplit(f"//{self.host}").hostname or ""
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return name == "localhost"


class Registry:
    """Asks registries with one set of credentials. A context manager; safe for several threads."""

    def __init__(self, username: str = "", password: str = "", insecure: bool = False) -> None:
        self._credentials = (username, password) if username else None
        self._insecure = insecure
        self._http = httpx.Client(timeout=TIMEOUT, headers={"Accept": MANIFEST_TYPES}, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._http.close()

    def digest(self, image: str) -> str:
        """`sha256:...` of `host/path:tag`; raises ImageNotFound, RegistryError. Messages hold no credentials."""
        reference = Reference.parse(image)
        scheme = "http" if self._insecure or reference.on_this_machine else "https"
        url = f"{scheme}://{reference.host}/v2/{reference.path}/manifests/{reference.tag}"
        try:
            answer = self._ask(url)
        except httpx.HTTPError as error:
            raise RegistryError(f"The registry {reference.host} does not answer ({type(error).__name__})") from None
        return _digest_of(answer, image, reference.host)

    def _ask(self, url: str) -> httpx.Response:
        answer = self._http.head(url)
        headers = self._authorisation(answer) if answer.status_code == 401 else {}
        if headers:
            answer = self._http.head(url, headers=headers)
        if answer.status_code == 200 and "Docker-Content-Digest" not in answer.headers:
            return ask(self._http, "GET", url, headers=headers)
        return answer

    def _authorisation(self, answer: httpx.Response) -> dict[str, str]:
        """The header that answers a challenge; empty when there is nothing to answer with."""
        kind, _, rest = answer.headers.get("WWW-Authenticate", "").partition(" ")
        if kind.lower() == "bearer":
            token = self._bearer_token(dict(_CHALLENGE.findall(rest)), str(answer.url))
            return {"Authorization": f"Bearer {token}"} if token else {}
        if kind.lower() == "basic" and self._credentials:
            pair = base64.b64encode(":".join(self._credentials).encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}

    def _bearer_token(self, challenge: dict[str, str], url: str) -> str:
        realm = challenge.pop("realm", "")
        if not realm.startswith("https://") and urlsplit(realm).scheme != urlsplit(url).scheme:
            raise RegistryError(f"The registry {urlsplit(url).netloc} asks for a token over plain HTTP")
        parameters: dict[str, str | int] = {name: challenge[name] for name in ("service", "scope") if name in challenge}
        answer = ask(self._http, "GET", realm, params=parameters, auth=self._credentials or httpx.USE_CLIENT_DEFAULT)
        if answer.status_code != 200:
            return ""
        try:
            token = answer.json()
        except ValueError:
            return ""
        return str(token.get("token") or token.get("access_token") or "") if isinstance(token, dict) else ""


def _digest_of(answer: httpx.Response, image: str, host: str) -> str:
    if answer.status_code in (401, 403, 404):
        raise ImageNotFound(f"There is no image {image} (the registry answered {answer.status_code})")
    if answer.status_code != 200:
        raise RegistryError(f"The registry {host} answered {answer.status_code} when asked for {image}")
    digest = answer.headers.get("Docker-Content-Digest") or f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
    if not _DIGEST.fullmatch(digest):
        raise RegistryError(f"The registry {host} answered with no digest for {image}")
    return str(digest)

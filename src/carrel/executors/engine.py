"""The HTTP API of a container engine over its unix socket: Docker's, and podman's that speaks the same.

A request costs a millisecond or two where a command line client costs forty, and values go in the body, never on a
command line. Source of the format: the Docker Engine API reference, version 1.41; no versioned path is used, so that
each engine answers in its own.
"""

import base64
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from carrel.executors.base import DiskFull, ExecutorError, RuntimeUnavailable

TIMEOUT_SECONDS = 300.0
CONNECT_SECONDS = 5.0
NO_SPACE = ("no space left on device", "disk quota exceeded")


class NotFound(ExecutorError):
    """The engine knows no such container, image or network."""


class Conflict(ExecutorError):
    """The engine will not, in the state that the thing is in (a name in use, a container not running)."""


def socket_path(flavour: str, host: str | None) -> Path:
    """The engine's socket: `host` or the environment's (`unix:///path`), else the first usual place that exists."""
    variable = "DOCKER_HOST" if flavour == "docker" else "CONTAINER_HOST"
    address = host or os.environ.get(variable)
    if address:
        if not address.startswith("unix://"):
            raise RuntimeUnavailable(
                f"{variable}={address}: only an engine of this machine, at a unix:// socket, can mount the folders."
            )
        return Path(address.removeprefix("unix://"))
    usual = _usual_sockets(flavour)
    return next((path for path in usual if path.exists()), usual[-1])


def _usual_sockets(flavour: str) -> list[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    own = [Path(runtime)] if runtime else []
    if flavour == "docker":
        return [*(folder / "docker.sock" for folder in own), Path("/var/run/docker.sock")]
    return [*(folder / "podman" / "podman.sock" for folder in own), Path("/run/podman/podman.sock")]


def registry_auth(reference: str) -> dict[str, str]:
    """The header with the credentials that `docker login` left for the reference's registry; empty without any."""
    first = reference.partition("/")[0]
    key = first if "." in first or ":" in first else "https://index.docker.io/v1/"
    folder = Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker"))
    try:
        entry = json.loads((folder / "config.json").read_text())["auths"][key]["auth"]
        username, _, password = base64.b64decode(entry).decode().partition(":")
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    credentials = json.dumps({"username": username, "password": password, "serveraddress": key})
    return {"X-Registry-Auth": base64.urlsafe_b64encode(credentials.encode()).decode()}


class Engine:
    """Requests to one engine. Safe from many threads; each connection is used again."""

    def __init__(self, flavour: str = "docker", host: str | None = None) -> None:
        self.flavour = flavour
        self.socket = socket_path(flavour, host)
        self._client = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(self.socket), limits=httpx.Limits(max_connections=None)),
            base_url="http://engine",
            timeout=httpx.Timeout(TIMEOUT_SECONDS, connect=CONNECT_SECONDS),
            trust_env=False,
        )

        self._try_to_connect()

    def _try_to_connect(self) -> None:
        """Tell at once that there is no engine (httpx would leave the socket of a failed attempt open)."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as attempt:
            attempt.settimeout(CONNECT_SECONDS)
            try:
                attempt.connect(str(self.socket))
            except OSError as error:
                self._client.close()
                raise RuntimeUnavailable(self._not_there()) from error

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request and its whole answer; an `ExecutorError` for anything that is not a 2xx or a 304."""
        try:
            response = self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise self.fault_of(error) from error
        self._check(response)
        return response

    def get(self, path: str, **params: Any) -> Any:
        """Ask for `path` with `params` and return the JSON of the answer."""
        return self.request("GET", path, params=params).json()

    def post(self, path: str, body: Mapping[str, Any] | None = None, **params: Any) -> Any:
        """Send `body` as JSON and return the JSON of the answer; None where there is none."""
        response = self.request("POST", path, json=body, params=params)
        return response.json() if response.content else None

    def delete(self, path: str, **params: Any) -> None:
        """Remove what is at `path`."""
        self.request("DELETE", path, params=params)

    def stream(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
        **params: Any,
    ) -> "Stream":
        """An answer that is read bit by bit. To be used as a context manager.

        TimeoutError, here or while it is read, when it is not whole after `seconds`; None: however long it takes.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS)
        request = self._client.build_request(method, path, params=params, headers=headers, timeout=timeout)
        try:
            response = self._client.send(request, stream=True)
        except httpx.ReadTimeout as error:
            raise TimeoutError from error
        except httpx.HTTPError as error:
            raise self.fault_of(error) from error
        if response.is_error:
            try:
                response.read()
                self._check(response)
            finally:
                response.close()
        return Stream(self, response, deadline)

    def _check(self, response: httpx.Response) -> None:
        if response.status_code < 400:
            return
        try:
            message = str(response.json()["message"])
        except (ValueError, KeyError, TypeError):
            message = f"answer {response.status_code}"
        if any(phrase in message.lower() for phrase in NO_SPACE):
            raise DiskFull(f"{self.flavour}: no space left on the disk of the container engine.")
        kinds = {404: NotFound, 409: Conflict}
        raise kinds.get(response.status_code, ExecutorError)(f"{self.flavour}: {message}")

    def fault_of(self, error: Exception) -> ExecutorError:
        """What an error of the connection is to whoever asked the engine."""
        if isinstance(error, httpx.ConnectError):
            return RuntimeUnavailable(self._not_there())
        return RuntimeUnavailable(
            f"The {self.flavour} engine at {self.socket} does not answer: {type(error).__name__}."
        )

    def _not_there(self) -> str:
        if not self.socket.exists():
            start = "systemctl start docker" if self.flavour == "docker" else "systemctl --user start podman.socket"
            return f"There is no {self.flavour} engine at {self.socket}. Install it and start it ({start})."
        if not os.access(self.socket, os.R_OK | os.W_OK):
            return f"The {self.flavour} engine's socket {self.socket} may not be used by this user (group docker?)."
        return f"No {self.flavour} engine answers at {self.socket}. Start it."


class Stream:
    """An open answer: its bytes, or its socket to be waited on."""

    def __init__(self, engine: Engine, response: httpx.Response, deadline: float | None = None) -> None:
        self._engine, self._response, self._deadline = engine, response, deadline

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self._response.close()

    @property
    def socket(self) -> Any:
        """The connection's socket: readable when more of the answer has come, or its end."""
        return self._response.extensions["network_stream"].get_extra_info("socket")

    def chunks(self) -> Iterator[bytes]:
        """The bytes of the answer as they come. TimeoutError after the stream's deadline."""
        try:
            for chunk in self._response.iter_raw():
                if self._deadline is not None and time.monotonic() > self._deadline:
                    raise TimeoutError
                yield chunk
        except httpx.ReadTimeout as error:
            raise TimeoutError from error
        except httpx.HTTPError as error:
            raise self._engine.fault_of(error) from error

    def lines(self) -> Iterator[dict[str, Any]]:
        """The JSON documents of a progress stream."""
        rest = b""
        for chunk in self.chunks():
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (json.loads(line) for line in whole if line.strip())
        if rest.strip():
            yield json.loads(rest)


def demultiplex(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The payloads of an attach or log stream, in order: 8 bytes before each, of which the last 4 are its length."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= 8:
            end = 8 + int.from_bytes(buffer[4:8], "big")
            if len(buffer) < end:
                break
            yield bytes(buffer[8:end])
            del buffer[:end]

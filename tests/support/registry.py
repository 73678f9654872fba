"""Debian's docker-registry, really running: open, behind a password, or behind a token server that signs its tokens."""

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
from tests.support.docker import missing
from tests.support.http_server import running
from tests.support.waiting import free_port

USER, PASSWORD = "puller", "s3cret-pw"
# bcrypt of PASSWORD
HTPASSWD = f"{USER}:$2y$05$abcdefghijklmnopqrstuuzSvhclVSvY9ufOheOOhcPviTPFJlqIC\n"


def program() -> str:
    found = shutil.which("docker-registry")
    if found is None:
        missing("docker-registry")
    return str(found)


@contextmanager
def registry(folder: Path, storage: Path, auth: str = "") -> Iterator[str]:
    """`host:port` of a registry on `storage`; `auth` is a YAML block."""
    port = free_port()
    config = folder / f"registry-{port}.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {storage}}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}', secret: x}}\n{auth}"
    )
    with subprocess.Popen([program(), "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as p:
        try:
            _wait_for(port, p)
            yield f"127.0.0.1:{port}"
        finally:
            p.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up and process.poll() is None:
        try:
            httpx.get(f"http://127.0.0.1:{port}/v2/", timeout=1)
        except httpx.HTTPError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError("docker-registry did not start")


def push(host: str, name: str, content: bytes) -> str:
    """Push a small image with the registry's own protocol; its digest."""
    base = f"http://{host}/v2/{name.partition(':')[0]}"
    with httpx.Client() as http:
        blobs = [_push_blob(http, base, blob) for blob in (b'{"architecture":"amd64","os":"linux"}', content)]
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        config, layer = (
            {"mediaType": f"application/vnd.docker.{media}", "size": size, "digest": digest}
            for media, (digest, size) in zip(
                ("container.image.v1+json", "image.rootfs.diff.tar.gzip"), blobs, strict=True
            )
        )
        manifest = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]}
        answer = http.put(
            f"{base}/manifests/{name.partition(':')[2]}", content=json.dumps(manifest), headers={"Content-Type": kind}
        )
    answer.raise_for_status()
    return answer.headers["Docker-Content-Digest"]


def _push_blob(http: httpx.Client, base: str, content: bytes) -> tuple[str, int]:
    import hashlib

    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    place = http.post(f"{base}/blobs/uploads/").headers["Location"]
    http.put(place, params={**parse_qs(urlsplit(place).query), "digest": digest}, content=content).raise_for_status()
    return digest, len(content)


class TokenServer(BaseHTTPRequestHandler):
    """Hands out signed tokens, as the registries of large hosts do; with a password it grants, without it does so only
    when `anonymous`."""

    server: "_Server"

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        self.server.asked.append((asked, self.headers.get("Authorization", "")))
        right = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        granted = self.server.anonymous or self.headers.get("Authorization") == right
        body = json.dumps({"token": self.server.token(asked["scope"][0])}) if granted else "{}"
        self.send_response(200 if granted else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    anonymous = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), TokenServer)
        self.asked: list[tuple[dict[str, list[str]], str]] = []
        self._make_key(folder)

    def _make_key(self, folder: Path) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        self._key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "token server of a test")])
        now = datetime.now(UTC)
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self._key.public_key())
        made = (
            made.serial_number(1).not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
        )
        self._certificate = made.sign(self._key, hashes.SHA256())
        self.bundle = folder / "token-server.pem"
        self.bundle.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def token(self, scope: str) -> str:
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding

        _, name, _ = scope.split(":")
        der = self._certificate.public_bytes(serialization.Encoding.DER)
        now = int(time.time())
        claims = {"iss": "carrel-test", "sub": "", "aud": "carrel-registry", "exp": now + 300, "nbf": now - 10}
        claims |= {"iat": now, "jti": "1", "access": [{"type": "repository", "name": name, "actions": ["pull"]}]}
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        signed = b".".join(_b64(json.dumps(part).encode()) for part in (header, claims))
        return b".".join([signed, _b64(self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))]).decode()

    @property
    def auth(self) -> str:
        realm = f"http://127.0.0.1:{self.server_address[1]}/token"
        return (
            f"auth: {{token: {{realm: '{realm}', service: carrel-registry, issuer: carrel-test, "
            f"rootcertbundle: '{self.bundle}'}}}}\n"
        )


def _b64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


@contextmanager
def token_server(folder: Path) -> Iterator[_Server]:
    with running(_Server(folder)) as server:
        yield server

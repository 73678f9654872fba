"""Real repositories, and a real server in front of them: what stands behind it is git's own http-backend."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from carrel.repos import Limits, Mirrors, RepoPolicy


@dataclass
class Repo:
    """A working repository that tests commit to."""

    path: Path

    def git(self, *args: str) -> str:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
        run = subprocess.run(["git", *identity, *args], cwd=self.path, capture_output=True, text=True, check=True)
        return run.stdout.strip()

    def commit(self, files: dict[str, str], message: str = "c") -> str:
        for name, text in files.items():
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    @property
    def url(self) -> str:
        return str(self.path)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return new_repo(tmp_path / "study")


def new_repo(path: Path) -> Repo:
    path.mkdir(parents=True)
    made = Repo(path)
    made.git("init", "-q")
    made.commit({"project.yaml": "version: '5'\n"})
    return made


@pytest.fixture
def mirrors(tmp_path: Path) -> Mirrors:
    return Mirrors(tmp_path / "mirrors", RepoPolicy(allow_local_git_repos=True))


@dataclass
class GitServer:
    """Smart HTTP in front of `root`, answering as GitHub would; `seen` keeps each request's (path, Authorization)."""

    root: Path
    base: str
    seen: list[tuple[str, str]] = field(default_factory=list)
    token_needed: str = ""
    redirect: str = ""
    """Send every request on to this base URL."""
    broken: int = 0
    """Answer every request with this status."""
    hang: threading.Event | None = None


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *args) -> None:
        pass

    def _answer(self) -> None:
        state = self.server.state
        authorisation = self.headers.get("Authorization", "")
        state.seen.append((self.path, authorisation))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if state.hang is not None:
            state.hang.wait()
        if state.broken:
            return self._send(state.broken, [], b"broken")
        if state.redirect:
            return self._send(302, [("Location", state.redirect + self.path)], b"")
        if state.token_needed and authorisation != state.token_needed:
            return self._send(401, [("WWW-Authenticate", "Basic realm=x")], b"")
        return self._backend(body)

    def _backend(self, body: bytes) -> None:
        url = urlsplit(self.path)
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.state.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_COUNT": "0",
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        answer = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=False).stdout
        head, _, content = answer.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n") if line]
        status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
        self._send(status, [pair for pair in headers if pair[0] != "Status"], content)

    def _send(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class _Server(ThreadingHTTPServer):
    state: GitServer
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request, client_address) -> None:
        """A git that was killed hangs up on us: that is what the tests are about."""


@pytest.fixture
def git_server(tmp_path: Path) -> Iterator[GitServer]:
    with git_serving(tmp_path / "github") as state:
        yield state


@contextmanager
def git_serving(root: Path) -> Iterator[GitServer]:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.state = GitServer(root, f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.state
    if server.state.hang is not None:
        server.state.hang.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def hosted(git_server: GitServer) -> Repo:
    """The repository https://github.com/opensafely/study, on the test server."""
    return new_repo(git_server.root / "opensafely" / "study")


@pytest.fixture
def remote_mirrors(tmp_path: Path, git_server: GitServer) -> Mirrors:
    policy = RepoPolicy(github_proxy_domain=git_server.base, private_repo_access_token="ghp_secret")
    return Mirrors(tmp_path / "mirrors", policy, Limits(connect=2, total=30))

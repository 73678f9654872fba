"""Over real HTTP: the token that must never show, hosts that hang, break or are not there."""

import base64
import contextlib
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.repos.conftest import git_serving
from tests.support.waiting import until

from carrel.repos import (
    BranchNotFound,
    CommitNotFound,
    GitError,
    Limits,
    Mirrors,
    NetworkError,
    RepoNotFound,
    RepoPolicy,
)

URL = "https://github.com/opensafely/study"
TOKEN = "ghp_secret"
BASIC = "Basic " + base64.b64encode(f"jobrunner-ctrl:{TOKEN}".encode()).decode()


def test_reads_through_the_proxy_with_the_token(remote_mirrors, git_server, hosted):
    git_server.token_needed = BASIC
    commit = hosted.commit({"project.yaml": "over http"})
    remote_mirrors.check_commit_on_branch(URL, commit, "main")
    assert remote_mirrors.read_file(URL, commit, "project.yaml") == b"over http"
    assert {authorisation for _, authorisation in git_server.seen} == {"", BASIC}, "sent when it is asked for"
    assert all(path.startswith("/opensafely/study/") for path, _ in git_server.seen)


def test_the_token_does_not_follow_a_redirect_to_another_host(remote_mirrors, git_server, hosted, tmp_path):
    with git_serving(tmp_path / "elsewhere") as elsewhere:
        elsewhere.token_needed = BASIC
        git_server.redirect = elsewhere.base
        with pytest.raises(RepoNotFound):
            remote_mirrors.branch_head(URL, "main")
        assert {authorisation for _, authorisation in elsewhere.seen} == {""}


def test_a_redirect_is_followed(remote_mirrors, git_server, hosted):
    with git_serving(git_server.root) as elsewhere:
        git_server.redirect = elsewhere.base
        assert remote_mirrors.branch_head(URL, "main") == hosted.git("rev-parse", "HEAD")


def test_a_cached_commit_asks_nobody(remote_mirrors, git_server, hosted):
    commit = hosted.commit({"project.yaml": "x"})
    remote_mirrors.check_commit_on_branch(URL, commit, "main")
    asked = len(git_server.seen)
    remote_mirrors.check_commit_on_branch(URL, commit, "main")
    remote_mirrors.read_file(URL, commit, "project.yaml")
    assert len(git_server.seen) == asked


def test_unknown_things_over_http(remote_mirrors, git_server, hosted):
    with pytest.raises(BranchNotFound, match="Could not find branch 'nope'"):
        remote_mirrors.branch_head(URL, "nope")
    with pytest.raises(CommitNotFound, match=f"Error fetching commit {'a' * 40} from {URL}"):
        remote_mirrors.read_file(URL, "a" * 40, "project.yaml")
    with pytest.raises(CommitNotFound, match=f"Could not find commit on branch 'main': {'a' * 40}"):
        remote_mirrors.check_commit_on_branch(URL, "a" * 40, "main")
    with pytest.raises(RepoNotFound, match=f"Could not read from {URL}-not-there"):
        remote_mirrors.branch_head(f"{URL}-not-there", "main")


def test_a_private_repository_and_a_wrong_token(remote_mirrors, git_server, hosted):
    git_server.token_needed = "Basic another"
    with pytest.raises(RepoNotFound, match="Could not read from") as error:
        remote_mirrors.branch_head(URL, "main")
    assert_no_token(error.value)


def test_a_host_that_breaks(remote_mirrors, git_server, hosted):
    commit = hosted.commit({"x": "y"})
    git_server.broken = 503
    with pytest.raises(NetworkError) as error:
        remote_mirrors.branch_head(URL, "main")
    assert not isinstance(error.value, GitError), "not the user's fault"
    assert_no_token(error.value)
    with pytest.raises(NetworkError) as error:
        remote_mirrors.read_file(URL, commit, "x")
    assert str(error.value) == (
        f"Network error when fetching commit {commit} from\n {URL}\n(This may work if you try again later)"
    )
    git_server.broken = 0
    assert remote_mirrors.read_file(URL, commit, "x") == b"y"


def test_a_host_that_hangs_is_given_up(tmp_path, git_server, hosted):
    git_server.hang = threading.Event()
    policy = RepoPolicy(github_proxy_domain=git_server.base, private_repo_access_token=TOKEN)
    mirrors = Mirrors(tmp_path / "m", policy, Limits(connect=1, total=1))
    with pytest.raises(NetworkError, match=f"{URL} did not answer in time") as error:
        mirrors.branch_head(URL, "main")
    assert_no_token(error.value)
    until(lambda: not _helpers_of_git(git_server.base), "the end of git and its helpers")


def test_a_host_that_takes_no_connection(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    mirrors = Mirrors(tmp_path / "m", RepoPolicy(github_proxy_domain=f"http://127.0.0.1:{port}"))
    with pytest.raises(NetworkError, match=r"cannot connect to 127\.0\.0\.1"):
        mirrors.branch_head(URL, "main")
    with pytest.raises(NetworkError):
        mirrors.read_file(URL, "a" * 40, "project.yaml")


def test_a_host_with_no_name(tmp_path):
    mirrors = Mirrors(tmp_path / "m", RepoPolicy(github_proxy_domain="no-such-host.invalid"))
    with pytest.raises(NetworkError, match=r"cannot connect to no-such-host\.invalid"):
        mirrors.branch_head(URL, "main")


def test_the_connection_check_goes_to_the_proxy_of_the_machine(tmp_path, git_server, hosted, monkeypatch):
    monkeypatch.setenv("http_proxy", git_server.base)
    monkeypatch.setenv("no_proxy", "")
    mirrors = Mirrors(tmp_path / "m", RepoPolicy(github_proxy_domain="http://behind-the-proxy.invalid"))
    assert mirrors.branch_head(URL, "main") == hosted.git("rev-parse", "HEAD")
    assert git_server.seen[0][0].startswith("http://behind-the-proxy.invalid/opensafely/study/")


def test_the_token_is_in_no_argument_and_no_file(remote_mirrors, git_server, hosted, tmp_path):
    """While git waits for the server, look at every process of ours and at the mirror."""
    git_server.hang = threading.Event()
    thread = threading.Thread(target=lambda: _swallow(lambda: remote_mirrors.branch_head(URL, "main")))
    thread.start()
    while not git_server.seen:
        assert thread.is_alive()
    arguments = b" ".join(_read(path) for path in Path("/proc").glob("[0-9]*/cmdline"))
    git_server.hang.set()
    thread.join()
    assert b"ls-remote" in arguments
    assert TOKEN.encode() not in arguments
    assert BASIC.encode() not in arguments
    remote_mirrors.branch_head(URL, "main")
    commit = hosted.commit({"project.yaml": "fetched"})
    assert remote_mirrors.read_file(URL, commit, "project.yaml") == b"fetched"
    kept = [path for path in remote_mirrors.root.rglob("*") if path.is_file()]
    assert "HEAD" in {path.name for path in kept}
    assert [path for path in kept if TOKEN.encode() in _read(path) or BASIC.encode() in _read(path)] == []


def test_a_fetch_killed_half_way_is_repaired(remote_mirrors, git_server, hosted):
    commit = hosted.commit({"project.yaml": "whole"})
    git_server.hang = threading.Event()
    script = (
        "import sys; from pathlib import Path; from carrel.repos import *; "
        "Mirrors(Path(sys.argv[1]), RepoPolicy(github_proxy_domain=sys.argv[2])).ensure_commit(*sys.argv[3:])"
    )
    command = [sys.executable, "-c", script, str(remote_mirrors.root), git_server.base, URL, commit]
    with subprocess.Popen(command) as process:
        while not git_server.seen:
            assert process.poll() is None
        process.kill()
    git_server.hang.set()
    assert remote_mirrors.read_file(URL, commit, "project.yaml") == b"whole"


def assert_no_token(error: BaseException | None) -> None:
    while error is not None:
        assert TOKEN not in repr(error)
        assert BASIC.split()[1] not in repr(error)
        error = error.__cause__ or error.__context__


def _swallow(call) -> None:
    with contextlib.suppress(NetworkError, GitError):
        call()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _helpers_of_git(host: str) -> list[bytes]:
    """Those that speak to `host`: other tests, in other processes, have their own."""
    commands = (_read(path) for path in Path("/proc").glob("[0-9]*/cmdline"))
    return [command for command in commands if b"git-remote-http" in command and host.encode() in command]

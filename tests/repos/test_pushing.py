"""Files pushed to a branch: on top of whatever is there, once, over a path and over HTTP with a token."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.repos.conftest import GitServer, Repo

from carrel.repos import GitError, RepoNotFound, RepoPolicy
from carrel.repos.limits import Deadline
from carrel.repos.pushing import BranchChange, PushingMirrors

BRANCH = "released-outputs"


def change(folder: Path, **files: str) -> BranchChange:
    sources = {}
    for name, text in files.items():
        path = folder / f"{name} \u00fc.csv"
        path.write_text(text)
        sources[f"released_outputs/north/{path.name}"] = path
    return BranchChange(
        branch=BRANCH,
        files=sources,
        index_path="README.md",
        index_text=lambda paths: "\n".join(sorted(paths)),
        message="Release 1\n",
        author="carrel",
        email="carrel@localhost",
        at=datetime(2026, 12, 1, tzinfo=UTC),
    )


@pytest.fixture
def pushing(tmp_path: Path) -> PushingMirrors:
    return PushingMirrors(tmp_path / "mirrors", RepoPolicy(allow_local_git_repos=True))


def files_on(repo: Repo) -> list[str]:
    return repo.git("-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", BRANCH).split("\n")


def test_what_is_there_stays(repo: Repo, pushing: PushingMirrors, tmp_path: Path) -> None:
    first = pushing.push(repo.url, change(tmp_path, a="1\n"))
    assert first.is_new
    assert pushing.push(repo.url, change(tmp_path, a="1\n")) == type(first)(first.commit, False), "nothing changed"
    second = pushing.push(repo.url, change(tmp_path, b="2\n"))
    assert files_on(repo) == ["README.md", "released_outputs/north/a \u00fc.csv", "released_outputs/north/b \u00fc.csv"]
    assert "a \u00fc.csv" in repo.git("show", f"{BRANCH}:README.md")
    assert repo.git("rev-list", BRANCH).split() == [second.commit, first.commit]
    assert repo.git("log", "-1", "--format=%an %s", BRANCH) == "carrel Release 1"


def test_others_may_be_faster(
    repo: Repo, pushing: PushingMirrors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushing.push(repo.url, change(tmp_path, a="1\n"))
    others: list[str] = []
    asked = PushingMirrors.branch_head

    def head_and_another_commit(
        self: PushingMirrors, repo_url: str, branch: str, deadline: Deadline | None = None
    ) -> str:
        """Say where the branch is; before that is used, somebody makes it anew from another history."""
        head = asked(self, repo_url, branch, deadline)
        if not others:
            repo.git("checkout", "-q", "--detach", head)
            others.append(repo.commit({"theirs.txt": "x"}))
        return head

    texts: list[Sequence[str]] = []
    pending = change(tmp_path, c="3\n")

    def index_text(paths: Sequence[str]) -> str:
        if not texts:
            repo.git("update-ref", f"refs/heads/{BRANCH}", others[0])
        texts.append(paths)
        return "index"

    monkeypatch.setattr(PushingMirrors, "branch_head", head_and_another_commit)
    pushed = pushing.push(
        repo.url,
        BranchChange(
            **{name: getattr(pending, name) for name in BranchChange.__slots__ if name != "index_text"},
            index_text=index_text,
        ),
    )
    assert len(texts) == 2, "the first push was refused, and the commit made anew"
    assert repo.git("rev-parse", f"{pushed.commit}^") == others[0]
    assert "theirs.txt" in files_on(repo)


def test_over_http_with_a_token(git_server: GitServer, hosted: Repo, tmp_path: Path) -> None:
    hosted.git("config", "http.receivepack", "true")
    git_server.token_needed = "Basic " + base64.b64encode(b"carrel:ghp_secret").decode()
    url = f"{git_server.base}/opensafely/study"
    policy = RepoPolicy(
        allowed_git_urls=(git_server.base,),
        private_repo_access_token="ghp_secret",
        token_user="carrel",
        shares_token=True,
    )
    pushed = PushingMirrors(tmp_path / "mirrors", policy).push(url, change(tmp_path, a="1\n"))
    assert hosted.git("rev-parse", BRANCH) == pushed.commit
    git_server.token_needed = "Basic other"
    with pytest.raises(RepoNotFound) as caught:
        PushingMirrors(tmp_path / "mirrors", policy).push(url, change(tmp_path, a="2\n"))
    assert "ghp_secret" not in str(caught.value)
    assert isinstance(caught.value, GitError)

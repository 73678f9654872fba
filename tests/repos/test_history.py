"""The commits of a branch, what changed between two of them, and a branch that is followed."""

import shutil

import pytest
from tests.repos.conftest import GitServer, Repo

from carrel.repos import BranchNotFound, FileTooLarge, Limits, Mirrors, NetworkError, RepoPolicy, commits_between
from carrel.units import limits

DEPTH = 50


def follow(mirrors: Mirrors, repo: Repo, branch: str = "main") -> str:
    return mirrors.follow_branch(repo.url, branch, DEPTH)


def test_a_branch_is_followed_as_it_moves(mirrors, repo):
    assert mirrors.last_head(repo.url, "main") is None
    first = follow(mirrors, repo)
    second = repo.commit({"a.txt": "1"})
    assert mirrors.last_head(repo.url, "main") == first
    assert follow(mirrors, repo) == second
    assert mirrors.last_head(repo.url, "main") == second


def test_what_was_seen_last_stays_when_the_repository_is_gone(mirrors, repo):
    head = follow(mirrors, repo)
    shutil.rmtree(repo.path)
    with pytest.raises(Exception, match=r"Could not read|failed"):
        follow(mirrors, repo)
    assert mirrors.last_head(repo.url, "main") == head
    assert mirrors.read_files(repo.url, head, ["project.yaml"]) == {"project.yaml": b"version: '5'\n"}


def test_a_branch_that_was_rewritten(mirrors, repo):
    repo.commit({"a.txt": "1"})
    follow(mirrors, repo)
    repo.git("reset", "-q", "--hard", "HEAD~1")
    other = repo.commit({"b.txt": "2"})
    assert follow(mirrors, repo) == other


def test_no_such_branch(mirrors, repo):
    with pytest.raises(BranchNotFound):
        follow(mirrors, repo, "elsewhere")


def test_the_log_is_newest_first_and_bounded(mirrors, repo):
    subjects = ["Round counts — to five", "Üse all", "x" * 1000]
    for number, subject in enumerate(subjects):
        repo.commit({"a.txt": str(number)}, f"{subject}\n\nbody")
    head = follow(mirrors, repo)
    log = mirrors.log(repo.url, head, 3)
    assert [commit.subject for commit in log] == ["x" * 200, "Üse all", "Round counts — to five"]
    assert log[0].sha == head
    assert log[0].parents == (log[1].sha,)
    assert log[0].author == "t"
    assert len(mirrors.log(repo.url, head, 2)) == 2


def test_the_log_of_what_is_not_here_is_empty(mirrors, repo):
    assert mirrors.log(repo.url, "0" * 40, 10) == ()


def test_a_date_that_no_calendar_has(mirrors, repo):
    repo.git(
        "-c", "core.commentChar=#", "commit", "-q", "--allow-empty", "-m", "far", "--date", "@99999999999999 +0000"
    )
    assert mirrors.log(repo.url, follow(mirrors, repo), 1)[0].authored_at.year == 1970


def test_commits_between_counts_what_one_has_and_the_other_has_not(mirrors, repo):
    old = repo.commit({"a.txt": "1"})
    repo.git("checkout", "-q", "-b", "side")
    repo.commit({"b.txt": "1"})
    repo.git("checkout", "-q", "main")
    repo.commit({"c.txt": "1"})
    repo.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    head = follow(mirrors, repo)
    log = mirrors.log(repo.url, head, DEPTH)
    assert commits_between(log, old, head) == 3
    assert commits_between(log, head, head) == 0
    assert commits_between(log, head, old) == 0
    assert commits_between(log, "0" * 40, head) is None


def test_reading_an_older_commit_asks_nobody_and_cuts_no_history(mirrors, repo):
    old = repo.commit({"a.txt": "old"})
    repo.commit({"a.txt": "new"})
    head = follow(mirrors, repo)
    before = mirrors.log(repo.url, head, DEPTH)
    shutil.rmtree(repo.path)
    assert mirrors.read_file(repo.url, old, "a.txt") == b"old"
    mirrors.check_commit_on_branch(repo.url, old, "main")
    assert mirrors.log(repo.url, head, DEPTH) == before


def test_the_difference_of_two_commits(mirrors, repo):
    old = repo.commit({"analysis/a.py": "one\ntwo\n", "b.py": "x\n"})
    new = repo.commit({"analysis/a.py": "one\nthree\n", "b.py": "y\n"})
    whole = mirrors.diff(repo.url, old, new)
    assert "+three" in whole.text
    assert "+y" in whole.text
    assert not whole.is_cut
    part = mirrors.diff(repo.url, old, new, ["analysis"])
    assert "-two" in part.text
    assert "b.py" not in part.text
    assert mirrors.diff(repo.url, old, new, [":!analysis", "*"]).text == ""


def test_which_files_differ(mirrors, repo):
    old = repo.commit({"a.txt": "1", "b.txt": "1", "ü/c.txt": "1"})
    repo.git("mv", "b.txt", "d.txt")
    new = repo.commit({"ü/c.txt": "2"})
    follow(mirrors, repo)
    assert mirrors.changed_paths(repo.url, old, new) == {"b.txt", "d.txt", "ü/c.txt"}
    assert mirrors.changed_paths(repo.url, new, new) == set()
    assert mirrors.changed_paths(repo.url, "0" * 40, new) is None


def test_a_long_difference_is_cut(mirrors, repo, monkeypatch):
    monkeypatch.setattr("carrel.repos.history.MAX_DIFF_BYTES", 500)
    old = repo.commit({"a.txt": "x\n" * 10_000})
    new = repo.commit({"a.txt": "y\n" * 10_000})
    diff = mirrors.diff(repo.url, old, new)
    assert diff.is_cut
    assert len(diff.text) == 500


def test_the_study_has_no_say_in_how_it_is_compared(mirrors, repo, tmp_path):
    witness = tmp_path / "ran"
    old = repo.commit({".gitattributes": "*.txt diff=evil\n", "a.txt": "1\n"})
    new = repo.commit({"a.txt": "2\n", ".gitconfig": f'[diff "evil"]\n\ttextconv = touch {witness}\n'})
    repo.git("config", "diff.evil.textconv", f"touch {witness}")
    assert "+2" in mirrors.diff(repo.url, old, new).text
    assert not witness.exists()


def test_several_files_in_one_go(mirrors, repo):
    commit = repo.commit({"sql/a.sql": "select 1", "sql/b.sql": "select 2"})
    files = mirrors.read_files(repo.url, commit, ["sql/a.sql", "sql/b.sql", "sql/c.sql", "sql", "bad\nname"])
    assert files == {"sql/a.sql": b"select 1", "sql/b.sql": b"select 2"}
    assert mirrors.list_folder(repo.url, commit, "sql") == ["a.sql", "b.sql"]
    assert mirrors.list_folder(repo.url, commit, "none") == []
    assert mirrors.list_folder(repo.url, commit, "sql/a.sql") == []


def test_several_files_are_bounded_together(mirrors, repo, monkeypatch):
    monkeypatch.setattr("carrel.repos.mirrors.MAX_GIT_FILE_BYTES", 15)
    commit = repo.commit({"a.sql": "x" * 10, "b.sql": "x" * 10})
    with pytest.raises(FileTooLarge):
        mirrors.read_files(repo.url, commit, ["a.sql", "b.sql"])


def test_a_host_that_hangs_is_waited_for_no_longer_than_said(tmp_path, git_server: GitServer, hosted):
    import threading

    git_server.hang = threading.Event()
    policy = RepoPolicy(allowed_git_urls=(git_server.base,))
    mirrors = Mirrors(tmp_path / "mirrors", policy, Limits(connect=2, total=1))
    with pytest.raises(NetworkError):
        mirrors.follow_branch(f"{git_server.base}/opensafely/study", "main", DEPTH)


def test_a_host_of_ones_own_over_http(tmp_path, git_server: GitServer, hosted):
    policy = RepoPolicy(allowed_git_urls=(f"{git_server.base}/opensafely/",), private_repo_access_token="ghp_secret")
    mirrors = Mirrors(tmp_path / "mirrors", policy)
    url = f"{git_server.base}/opensafely/study"
    head = mirrors.follow_branch(url, "main", DEPTH)
    assert mirrors.read_file(url, head, "project.yaml") == b"version: '5'\n"
    assert {authorisation for _, authorisation in git_server.seen} == {""}


def test_the_bound_on_differences_is_known():
    assert limits.MAX_DIFF_BYTES == limits.MIB

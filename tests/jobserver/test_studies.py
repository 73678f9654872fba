"""What the job server reads of real repositories, and what it says when one is slow or away."""

import shutil
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest
from tests.repos.conftest import GitServer, git_server, hosted
from tests.support.jobserver import add_backend, add_project, add_workspace
from tests.support.studies import FILES, PROJECT, follow_study, make_study, study_site

from carrel.jobserver import studies
from carrel.jobserver.models import Workspace
from carrel.jobserver.studies import StudyFault
from carrel.project import ProjectValidationError

__all__ = ["git_server", "hosted", "study_site"]
pytestmark = pytest.mark.django_db
BACKENDS = ("north", "south", "west")


@pytest.fixture
def repo(study_site: Path):
    return make_study(study_site / "study")


@pytest.fixture
def workspace(repo) -> Workspace:
    return follow_study(add_project(), repo)


def test_the_head_of_a_branch(workspace, repo):
    assert studies.branch_head(workspace, 30) == studies.BranchHead(repo.git("rev-parse", "HEAD"))
    later = repo.commit({"a.txt": "1"})
    assert studies.branch_head(workspace, 30).commit == later


def test_a_repository_that_is_gone_leaves_what_was_known(workspace, repo):
    head = studies.branch_head(workspace, 30).commit
    shutil.rmtree(repo.path)
    answer = studies.branch_head(workspace, 30)
    assert answer.commit == head
    assert answer.problem
    assert studies.study_at(workspace, head).definition == PROJECT.encode()


def test_a_repository_that_never_was(study_site):
    workspace = add_workspace(add_project(), repo_url=str(study_site / "nowhere"))
    answer = studies.branch_head(workspace, 30)
    assert answer.commit == ""
    assert "nowhere" in answer.problem


def test_a_repository_that_nobody_may_read(study_site):
    workspace = add_workspace(add_project(), repo_url="https://elsewhere.example/a")
    assert "does not start with https://github.com" in studies.branch_head(workspace, 30).problem


def test_a_repository_that_hangs_is_waited_for_no_longer_than_said(
    study_site, git_server: GitServer, hosted, monkeypatch
):
    monkeypatch.setenv("ALLOWED_GIT_URLS", git_server.base)
    git_server.hang = threading.Event()
    workspace = add_workspace(add_project(), repo_url=f"{git_server.base}/opensafely/study")
    assert studies.branch_head(workspace, 0.2) == studies.BranchHead(
        "", "The repository has not answered yet. It is still being read: try again in a moment."
    )
    git_server.hang.set()
    # The thread that was waiting goes on, and the next page has its answer.
    assert studies.branch_head(workspace, 30).commit == hosted.git("rev-parse", "HEAD")


def test_repositories_of_one_project_that_hang_stop_no_other(workspace, repo, monkeypatch):
    hanging = {("https://a.example/a", str(number)): (workspace.project_id, Future()) for number in range(3)}
    monkeypatch.setattr(studies, "_following", hanging)
    assert "Too many repositories" in studies.branch_head(workspace, 30).problem
    other = follow_study(add_project(), repo)
    assert studies.branch_head(other, 30).commit == repo.git("rev-parse", "HEAD")


def test_what_a_commit_says_of_itself(workspace, repo):
    code = studies.study_at(workspace, studies.branch_head(workspace, 30).commit)
    assert code.subject == "Round counts to five"
    assert code.authored_at is not None
    assert code.codelists_ok
    assert code.side_file is None


def test_a_commit_without_a_project_file(workspace, repo):
    repo.git("rm", "-q", "project.yaml")
    head = repo.commit({"a.txt": "1"})
    with pytest.raises(StudyFault, match=r"There is no project\.yaml at commit"):
        studies.study_at(workspace, head)


def test_a_commit_that_is_on_another_branch(workspace, repo):
    repo.git("checkout", "-q", "-b", "other")
    commit = repo.commit({"a.txt": "1"})
    repo.git("checkout", "-q", "main")
    with pytest.raises(StudyFault, match="Could not find commit on branch 'main'"):
        studies.check_on_branch(workspace, commit)


def test_codelists_are_checked_without_any_service(workspace, repo):
    commit = repo.commit({"codelists/codelists.txt": "org/asthma/v1\n", "codelists/other.csv": "code\n1\n"})
    code = studies.study_at(workspace, commit)
    assert not code.codelists_ok
    assert "org/asthma/v1: in codelists.txt but not fetched" in code.codelist_problems
    assert "other.csv: not a listed codelist" in code.codelist_problems


def test_codelists_that_fit(workspace, repo):
    manifest = (
        '{"files": {"org-asthma.csv": {"id": "org/asthma/v1", "sha": "4bb8b6bbf2a4b5bd9a2c4e5b40b0a3a9e84ba3f6"}}}'
    )
    commit = repo.commit({"codelists/codelists.txt": "org/asthma/v1\n", "codelists/codelists.json": manifest})
    assert studies.study_at(workspace, commit).codelist_problems == ("org-asthma.csv: missing",)


def test_a_list_of_codelists_that_cannot_be_read(workspace, repo):
    commit = repo.commit({"codelists/codelists.txt": "nonsense\n"})
    assert "nonsense is not a codelist" in studies.study_at(workspace, commit).codelist_problems[0]


def test_the_pipeline_of_each_backend(workspace):
    code = studies.study_at(workspace, studies.branch_head(workspace, 30).commit)
    assert list(studies.pipeline_on(code, BACKENDS, "", "south").actions) == [
        "extract",
        "normalise",
        "incentives",
        "visits",
    ]
    assert "incentives" not in studies.pipeline_on(code, BACKENDS, "", "north").actions
    with pytest.raises(ProjectValidationError, match="does not run on backend `west`"):
        studies.pipeline_on(code, BACKENDS, "", "west")


def test_a_study_that_names_no_backends_runs_on_any_it_holds_on(workspace, repo):
    text = FILES["project.yaml"].replace("run_on: [north, south]\n", "")
    code = studies.study_at(workspace, repo.commit({"project.yaml": text}))
    # `incentives` is for south alone, which is no reason for the others not to run the rest.
    assert set(studies.pipeline_on(code, BACKENDS, "", "west").actions) == {"extract", "normalise", "visits"}
    with pytest.raises(ProjectValidationError, match="runs on north alone"):
        studies.pipeline_on(code, BACKENDS, "north", "west")


def test_a_study_with_mistakes_names_them_all(workspace, repo):
    text = FILES["project.yaml"].replace("needs: [extract]", "needs: [extrat]")
    code = studies.study_at(workspace, repo.commit({"project.yaml": text}))
    with pytest.raises(ProjectValidationError) as error:
        studies.pipeline_of(code, BACKENDS)
    assert error.value.problems[0].line == 8


def test_a_project_file_may_name_what_its_project_may_know_of(workspace):
    add_backend("north")
    hidden = add_backend("secret", is_listed=False)
    assert studies.backend_names(workspace) == ("north",)
    assert studies.backend_names(workspace, [hidden]) == ("north", "secret")


def test_commits_are_counted_and_compared(workspace, repo):
    old = repo.git("rev-parse", "HEAD")
    repo.commit({"analysis/visits.py": "print(4)\n"}, "One")
    new = repo.commit({"README.md": "text"}, "Two")
    studies.branch_head(workspace, 30)
    assert studies.count_commits_between(workspace, old, new) == 2
    assert studies.count_commits_between(workspace, "0" * 40, new) is None
    assert [commit.subject for commit in studies.history(workspace, new, 2)] == ["Two", "One"]
    assert "+print(4)" in studies.diff(workspace, old, new, ["analysis"]).text
    assert studies.texts_at(workspace, new, ["README.md", "none"]) == {"README.md": "text"}

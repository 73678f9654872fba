"""Whether a study's repository and branch are there, asked while somebody waits: by this installation's policy."""

from carrel.jobserver.service.changes import refuse
from carrel.jobserver.studies import mirrors
from carrel.repos.errors import BranchNotFound, GitError, RepoInfrastructureError

SECONDS = 12.0


def check_branch(repo_url: str, branch: str) -> str:
    """Return the commit at the head of a branch. Raises ValidationError for a form's `repo_url` or `branch`."""
    if not repo_url:
        raise refuse("Write the address of a repository, or its path on this machine.", "repo_url")
    try:
        return mirrors(SECONDS).branch_head(repo_url, branch)
    except BranchNotFound as error:
        raise refuse(f"{error}. Push it, or look at its spelling.", "branch") from error
    except GitError as error:
        raise refuse(f"{error}.", "repo_url") from error
    except RepoInfrastructureError as error:
        raise refuse(f"The repository could not be asked: {error}. Try again in a minute.", "repo_url") from error

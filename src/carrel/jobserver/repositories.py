"""The studies' repositories, as the job server asks for them: by this installation's policy and within a time."""

from carrel.jobserver import settings
from carrel.jobserver.service.changes import refuse
from carrel.repos.errors import BranchNotFound, GitError, RepoInfrastructureError
from carrel.repos.limits import Limits
from carrel.repos.mirrors import Mirrors
from carrel.repos.settings import RepoSettings
from carrel.units.settings import read_settings

WHILE_SOMEBODY_WAITS = Limits(connect=4, total=12)


def mirrors() -> Mirrors:
    """Return the mirrors, with limits for a page that somebody waits for. Raises SettingsError."""
    return Mirrors(settings.get().mirrors, read_settings(RepoSettings).policy("jobserver"), WHILE_SOMEBODY_WAITS)


def check_branch(repo_url: str, branch: str) -> str:
    """Return the commit at the head of a branch. Raises ValidationError for a form's `repo_url` or `branch`."""
    reader = mirrors()
    if not repo_url:
        raise refuse("Write the address of a repository, or its path on this machine.", "repo_url")
    try:
        return reader.branch_head(repo_url, branch)
    except BranchNotFound as error:
        raise refuse(f"{error}. Push it, or look at its spelling.", "branch") from error
    except GitError as error:
        raise refuse(f"{error}.", "repo_url") from error
    except RepoInfrastructureError as error:
        raise refuse(f"The repository could not be asked: {error}. Try again in a minute.", "repo_url") from error

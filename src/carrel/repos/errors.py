"""What can go wrong with a repository: two families, which callers treat differently (DESIGN section 4, rule 6).

`GitError` is the user's: the same request will fail again, and its text is meant for the user.
`RepoInfrastructureError` is ours or the network's: trying again later may work, and nobody should change their
study because of it.
No message of either holds a credential.
"""


class GitError(Exception):
    """User error: the repository, branch, commit or file asked for is not there or may not be read."""


class RepoNotAllowed(GitError):
    """The policy of this installation does not let the repository be read."""


class RepoNotFound(GitError):
    """There is no repository at the URL, or it is private and we have no right to it."""


class BranchNotFound(GitError):
    """The branch does not exist, or no name was given."""


class TagNotFound(GitError):
    """The tag does not exist."""


class CommitNotFound(GitError):
    """The commit does not exist in the repository, or is not on the branch it was said to be on."""


class FileNotInRepo(GitError):
    """There is no file of that name at that commit."""


class FileTooLarge(GitError):
    """The file is larger than its reader allows."""


class FileIsLink(GitError):
    """The file is a symbolic link, of which git would give the target's name as its contents."""


class RepoTooLarge(GitError):
    """What git would have to fetch or to answer is more than there is room for."""


class RepoDamaged(GitError):
    """The repository holds objects that git itself cannot read."""


class CheckoutRefused(GitError):
    """The tree holds something that must not or cannot be written to disk, such as a symlink that leads outside."""


class GivenUp(Exception):
    """Nobody wants the answer any more: whoever asked has been cancelled."""


class RepoInfrastructureError(Exception):
    """Infrastructure fault: git itself, this disk, or a lock held too long."""


class NetworkError(RepoInfrastructureError):
    """The host of the repository could not be reached, did not answer in time, or answered with a fault of its own."""

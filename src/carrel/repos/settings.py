"""Git settings that the controller and the agent both take from the environment (spec: controller.md section 5)."""

from pydantic import SecretStr

from carrel.repos.policy import RepoPolicy
from carrel.units.settings import CommaList, EnvironmentSettings, OnlyTrue


class RepoSettings(EnvironmentSettings):
    """Names are the environment's, in capitals. `ALLOW_LOCAL_GIT_REPOS` is true only for the word `true`."""

    allowed_github_orgs: CommaList = ["opensafely", "opensafely-actions"]
    allow_local_git_repos: OnlyTrue = False
    allowed_git_urls: CommaList = []
    """URLs of other hosts, or of folders of theirs, whose repositories may be read (`https://git.example.org/a/`)."""
    github_proxy_domain: str = "github-proxy.opensafely.org"
    """Host (or base URL) that stands in for github.com; `github.com` for none."""
    private_repo_access_token: SecretStr = SecretStr("")

    def policy(self, reader: str) -> RepoPolicy:
        """The policy of one process; `reader` is `ctrl`, or an agent's backend, and goes with the token."""
        return RepoPolicy(
            allowed_github_orgs=tuple(self.allowed_github_orgs),
            allow_local_git_repos=self.allow_local_git_repos,
            allowed_git_urls=tuple(self.allowed_git_urls),
            github_proxy_domain=self.github_proxy_domain,
            private_repo_access_token=self.private_repo_access_token.get_secret_value(),
            token_user=f"jobrunner-{reader}",
        )

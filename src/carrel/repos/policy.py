"""Which repositories may be read, where they are really fetched from, and what must never be printed."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from carrel.repos.errors import RepoNotAllowed
from carrel.telemetry.redaction import Redactor

GITHUB = "https://github.com"

_NAME = r"[A-Za-z0-9_.-]+"
_GITHUB_REPO = re.compile(rf"{re.escape(GITHUB)}/(?P<org>{_NAME})/(?P<name>(?!\.{{1,2}}(?:\.git)?/?$){_NAME})/?")

_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9_.~%+-]+)+/?")
"""A URL without user, password, query or anything else but a host and names."""


@dataclass(frozen=True, slots=True)
class RepoPolicy:
    """Who may be read (`check`), from where (`fetch_url`), with what (`git_config`). The names are the settings'.

    `github_proxy_domain` stands in for github.com when fetching: a host name, or a whole base URL such as
    `http://mirror.local:8080`; empty means github.com itself. An empty `allowed_github_orgs` allows none.
    `allowed_git_urls`: other hosts or folders of hosts whose repositories may be read (`https://git.example.org/`).
    """

    allowed_github_orgs: tuple[str, ...] = ("opensafely", "opensafely-actions")
    allow_local_git_repos: bool = False
    allowed_git_urls: tuple[str, ...] = ()
    github_proxy_domain: str = ""
    private_repo_access_token: str = field(default="", repr=False)
    token_user: str = "jobrunner-ctrl"  # noqa: S105  (a user name)
    """User name that goes with the token: `jobrunner-<backend>` on an agent."""
    shares_token: bool = False
    """The token is for the hosts of `allowed_git_urls` too: one that somebody gave for pushing there."""

    def check(self, repo_url: str) -> None:
        """Raise RepoNotAllowed, with the contract's words (controller.md 2.2), unless `repo_url` may be read."""
        if self.is_local(repo_url) or self.is_elsewhere(repo_url):
            return
        shown = self.redact(repo_url)
        if urlsplit(repo_url)[:2] != ("https", "github.com"):
            raise RepoNotAllowed(f"Repository URL {shown} does not start with {GITHUB}")
        if repo_url.removeprefix(GITHUB).lstrip("/").split("/")[0] not in self.allowed_github_orgs:
            allowed = " ".join(self.allowed_github_orgs)
            raise RepoNotAllowed(
                f"Repository {shown} does not belong to one of the following Github organisations: {allowed}"
            )
        if not _GITHUB_REPO.fullmatch(repo_url):
            raise RepoNotAllowed(
                f"Repository {shown} was not of the expected format: {GITHUB}/[organisation]/[project-name]"
            )

    def is_local(self, repo_url: str) -> bool:
        """True for a path on this machine, where such repositories are allowed."""
        return self.allow_local_git_repos and repo_url.startswith("/")

    def is_elsewhere(self, repo_url: str) -> bool:
        """True for a repository below one of `allowed_git_urls`: the same host, and no way out of its folder."""
        if not _PLAIN_URL.fullmatch(repo_url) or ".." in repo_url.split("/"):
            return False
        return any(repo_url.startswith(f"{base.rstrip('/')}/") for base in self.allowed_git_urls)

    def fetch_url(self, repo_url: str) -> str:
        """The URL git is really given: the proxy's in place of github.com, without credentials."""
        if not repo_url.startswith(f"{GITHUB}/") or not self.github_proxy_domain:
            return repo_url
        proxy = self.github_proxy_domain.rstrip("/")
        base = proxy if "://" in proxy else f"https://{proxy}"
        return base + repo_url.removeprefix(GITHUB)

    def git_config(self, repo_url: str) -> Mapping[str, str]:
        """Git settings for reading `repo_url`. They name no secret: see `secrets`."""
        if self.is_local(repo_url):
            return {"protocol.allow": "never", "protocol.file.allow": "always"}
        if not self._takes_token(repo_url):
            return _HTTP_ONLY
        # Git asks this helper for this host alone: where a redirect leads elsewhere, the token does not follow.
        parts = urlsplit(self.fetch_url(repo_url))
        return {**_HTTP_ONLY, f"credential.{parts.scheme}://{parts.netloc}.helper": _HELPER}

    def secrets(self, repo_url: str) -> Mapping[str, str]:
        """Environment variables of git's that hold the token; so it shows neither in `ps` nor in any file."""
        if not self._takes_token(repo_url):
            return {}
        return {"CARREL_GIT_USER": self.token_user, "CARREL_GIT_TOKEN": self.private_repo_access_token}

    def _takes_token(self, repo_url: str) -> bool:
        """The token is for GitHub alone, unless it is shared: no other host learns it."""
        if not self.private_repo_access_token or self.is_local(repo_url):
            return False
        return self.shares_token or not self.is_elsewhere(repo_url)

    def redact(self, text: str) -> str:
        """`text` with our token, and any credentials inside a URL, replaced by asterisks."""
        basic = base64.b64encode(f"{self.token_user}:{self.private_repo_access_token}".encode()).decode()
        secrets = [self.private_repo_access_token, basic] if self.private_repo_access_token else []
        return Redactor(secrets, shortest=1)(text)


_HELPER = (
    """!f() { test "$1" = get && printf 'username=%s\\npassword=%s\\n' "$CARREL_GIT_USER" "$CARREL_GIT_TOKEN"; }; f"""
)
_HTTP_ONLY = {
    "protocol.allow": "never",
    "protocol.https.allow": "always",
    "protocol.http.allow": "always",
    "http.followRedirects": "initial",
    "http.lowSpeedLimit": "100",
    "http.lowSpeedTime": "15",
}

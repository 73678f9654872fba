"""What the review site's processes are told by the environment (docs/reference/configuration.md explains each)."""

from functools import cached_property, lru_cache
from pathlib import Path

from pydantic import Field, SecretStr

from carrel.units.settings import CommaList, EnvironmentSettings, Seconds, SettingsError, read_settings


class ReviewSettings(EnvironmentSettings):
    """What is set for the whole review site. Times in seconds."""

    workdir: Path = Path("workdir")
    backend: str = "test"
    """Slug of the backend that it stands in, as the job server and the agent call it."""
    medium_privacy_storage_base: Path = Path("workdir/medium_privacy")
    """Where moderately sensitive outputs are: `workspaces/` is read, the other two are written."""
    review_policy: Path | None = None
    """The backend's policy file (`carrel.review.policy`); without it the defaults hold."""
    job_server_endpoint: str = ""
    """Ends in `/api/v2/`. Empty: there is no job server; people have accounts here, releases go to a local folder."""
    job_server_token: SecretStr = SecretStr("")
    job_server_token_file: Path | None = None
    """A file that holds the token, instead of JOB_SERVER_TOKEN."""
    review_authorisation_seconds: Seconds = 900.0
    """How old what the job server said of a person may be before it is asked again."""
    review_upload_interval: Seconds = 1.0
    review_upload_retry: Seconds = 60.0
    """Longest wait before a file that could not be uploaded is tried again."""
    review_os_users: CommaList = []
    """`login=username`, by commas: accounts of users of this machine whose names differ, for `carrel release`."""
    audit_anchor_file: Path | None = None
    """Where the audit chain's head is written every day. Default: `audit-anchors.jsonl` in WORKDIR."""
    max_release_file_bytes: int = Field(default=16 * 1024 * 1024, gt=0)

    @property
    def workspaces(self) -> Path:
        return self.medium_privacy_storage_base / "workspaces"

    @property
    def requests(self) -> Path:
        """Copies of requested files: `<workspace>/<request>/<sha256>`."""
        return self.medium_privacy_storage_base / "requests"

    @property
    def releases(self) -> Path:
        """What was released, where there is no job server: `<request>/<path>`."""
        return self.medium_privacy_storage_base / "releases"

    @property
    def anchors(self) -> Path:
        return self.audit_anchor_file or self.workdir / "audit-anchors.jsonl"

    @property
    def mirrors(self) -> Path:
        """Where the mirrors of studies' repositories are."""
        return self.workdir / "mirrors"

    @cached_property
    def token(self) -> str:
        """The backend's token at the job server. Raises SettingsError when its file cannot be read."""
        if self.job_server_token_file is None:
            return self.job_server_token.get_secret_value()
        try:
            return self.job_server_token_file.read_text().strip()
        except OSError as error:
            raise SettingsError(f"JOB_SERVER_TOKEN_FILE cannot be read: {error.strerror}.") from error


@lru_cache(maxsize=1)
def get() -> ReviewSettings:
    """Return this process's settings. Raises SettingsError."""
    return read_settings(ReviewSettings)

"""What the job server's processes are told by the environment (docs/reference/configuration.md explains each)."""

from functools import cached_property, lru_cache
from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from carrel.units.settings import CommaList, EnvironmentSettings, Seconds, SettingsError, read_settings

MAX_TOKEN = 4096


class ControllerLink(EnvironmentSettings):
    """One controller that this server asks; `<NAME>_RAP_API_...` for all but the default one."""

    rap_api_base_url: str = ""
    """Ends in `/controller/v1/`. Empty: no controller is asked, and backends of this link take no requests yet."""
    rap_api_token: SecretStr = SecretStr("")
    rap_api_token_file: Path | None = None
    """A file that holds the token, instead of RAP_API_TOKEN."""

    @cached_property
    def token(self) -> str:
        """Raises SettingsError when the file cannot be read."""
        if self.rap_api_token_file is None:
            return self.rap_api_token.get_secret_value()
        try:
            return self.rap_api_token_file.read_text().strip()
        except OSError as error:
            raise SettingsError(f"RAP_API_TOKEN_FILE cannot be read: {error.strerror}.") from error


class JobServerSettings(EnvironmentSettings):
    """What is set for the whole job server. Times in seconds."""

    workdir: Path = Path("workdir")
    jobserver_name: str = "carrel"
    """What the site calls itself in its header and its mails."""
    controllers: CommaList = ["default"]
    """Names of the controllers that are asked. `default` has RAP_API_BASE_URL, `west` has WEST_RAP_API_BASE_URL."""
    rap_api_poll_interval: Seconds = 5.0
    release_storage: Path | None = None
    """Where released files are kept. Default: `releases` in WORKDIR."""
    releases_redirect: str = ""
    """Where a proxy serves RELEASE_STORAGE internally (`/released/`). Requests that have exactly this in the header
    `Releases-Redirect` are answered with `X-Accel-Redirect`; empty: the bytes are always sent from here."""
    max_release_file_bytes: int = Field(default=16 * 1024 * 1024, gt=0)
    release_branch: str = "released-outputs"
    """Branch of a study's repository to which releases are pushed, below `released_outputs/<backend>/`."""
    release_push_user: str = "carrel"
    """User name that goes with the token for pushing."""
    release_push_token: SecretStr = SecretStr("")
    """Lets releases be pushed to repositories over https; never shown or logged."""
    release_push_token_file: Path | None = None
    """A file that holds the token for pushing, instead of RELEASE_PUSH_TOKEN."""
    project_retention_days: int = Field(default=3650, ge=0)
    """How long a closed project is kept before it may be deleted (`carrel manage close_project --delete`)."""
    first_api_slice_database: str = ""
    """What the first API's `db: slice` means as a database name of the controller's; empty: it is refused."""
    default_backend: str = ""
    """Slug of the backend of a study whose project.yaml names none with `run_on`; empty: all of the project's."""

    webhook_hosts: CommaList = []
    """Hosts that webhooks may call without https, and inside a network. All others: https, public."""

    @field_validator("controllers")
    @classmethod
    def _names(cls, value: list[str]) -> list[str]:
        for name in value:
            if not name.replace("_", "").isalnum() or not name.islower():
                raise ValueError(f"'{name}' cannot name a controller: lower-case letters, digits and _")
        return value

    @cached_property
    def push_token(self) -> str:
        """Raises SettingsError when the file cannot be read."""
        if self.release_push_token_file is None:
            return self.release_push_token.get_secret_value()
        try:
            with self.release_push_token_file.open() as file:
                return file.read(MAX_TOKEN).strip()
        except OSError as error:
            raise SettingsError(f"RELEASE_PUSH_TOKEN_FILE cannot be read: {error.strerror}.") from error

    @property
    def releases(self) -> Path:
        return self.release_storage or self.workdir / "releases"

    @property
    def mirrors(self) -> Path:
        """Where the mirrors of studies' repositories are."""
        return self.workdir / "mirrors"

    @cached_property
    def links(self) -> dict[str, ControllerLink]:
        """By the controller's name. Raises SettingsError."""
        return {
            name: read_settings(ControllerLink, "" if name == "default" else f"{name.upper()}_")
            for name in self.controllers
        }


@lru_cache(maxsize=1)
def get() -> JobServerSettings:
    """Return this process's settings. Raises SettingsError."""
    return read_settings(JobServerSettings)

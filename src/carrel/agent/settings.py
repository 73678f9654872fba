"""All that an agent may be told, by environment variables with the contract's names (controller.md section 5)."""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from carrel.agent.storage import Storage
from carrel.disclosure.policy import DisclosurePolicy
from carrel.outputs.disclosure_policy import read_policy_file
from carrel.outputs.identifiers import read_identifier_names
from carrel.repos import RepoPolicy
from carrel.repos.settings import RepoSettings
from carrel.telemetry.redaction import PLACEHOLDERS
from carrel.units.settings import CommaList, Seconds, Truth, read_settings

IMAGES = ["ehrql", "stata-mp", "r", "jupyter", "python", "sqlrunner", "cohortextractor", "tpp-database-utils"]
DATABASE_URL_SUFFIX = "_DATABASE_URL"
_NOT_DATABASES = {"CARREL", "TEMP"}
MEBIBYTE = 1024 * 1024


class AgentSettings(RepoSettings):
    """One agent's settings, each set by the variable of its name in capitals. Times in seconds, sizes in bytes.

    Besides, `{NAME}_DATABASE_URL` for each database name (`database_urls`).
    """

    backend: str
    """Slug of the backend that this agent serves; must be one of `backends`."""
    backends: CommaList = ["test", "tpp", "emis", "ted"]
    workdir: Path = Path("workdir")
    high_privacy_storage_base: Path | None = None
    medium_privacy_storage_base: Path | None = None
    high_privacy_archive_dir: Path | None = None
    high_privacy_volume_dir: Path | None = None
    level3_group: str = ""
    """Unix group, by name or number, that may read the high privacy store; with `level4_group`. Empty: no group may."""
    level4_group: str = ""
    """Unix group that may read the medium privacy store."""
    docker_host_volume_dir: Path | None = None
    """Where the container engine's host sees `high_privacy_volume_dir`, when the agent itself runs in a container."""

    controller_task_api_endpoint: str
    controller_task_api_token: SecretStr = SecretStr("token")
    job_loop_interval: Seconds = 1.0
    """Pause between polls of a controller that cannot be waited on (OpenSAFELY's)."""
    long_poll_seconds: float = Field(25.0, ge=0, le=60)

    executor: str = "auto"
    toolchains_dir: Path | None = None
    docker_user_id: int = Field(default_factory=os.geteuid)
    docker_group_id: int = Field(default_factory=os.getegid)
    docker_registry: str = "ghcr.io/opensafely-core"
    docker_proxy: str = ""
    """Registry to pull from in the place of `docker_registry`; empty: from that itself."""
    allowed_images: CommaList = IMAGES
    """Names that may follow the registry, by commas; `*` for any."""
    image_pull_timeout: Seconds = 1200

    using_dummy_data_backend: Truth = False
    database_access_network: str = "jobrunner-db"
    temp_database_name: str = ""
    emis_organisation_hash: SecretStr = SecretStr("")
    presto_tls_cert_path: Path | None = None
    presto_tls_key_path: Path | None = None

    # An agent goes to github.com itself unless it is told of a proxy; its network may allow nothing else.
    github_proxy_domain: str = ""
    """Host (or base URL) that stands in for github.com; empty: none does."""

    stats_poll_interval: Seconds = Field(10.0, ge=2)
    max_log_bytes: int = Field(64 * MEBIBYTE, ge=4096)
    identifier_columns: str = ""
    """Further names of columns that may identify people, by commas."""
    identifier_columns_file: Path | None = None
    """A file of such names, one a line, with comments from `#` on."""
    review_policy: Path | None = None
    """The backend's policy file: by its `disclosure:` the log tells what the rules say of outputs. It bars nothing."""
    level4_bars_identifiers: Truth = False
    """`true`: a column that may identify people keeps a file from level 4, as `patient_id` always does."""
    failed_outputs_days: int = Field(30, ge=0)
    """How long the outputs of failed jobs are kept beside their logs."""
    loglevel: str = "INFO"

    @model_validator(mode="after")
    def _no_contradictions(self) -> Self:
        if self.backend not in self.backends:
            raise ValueError(f"BACKEND is {self.backend!r}, which is not in BACKENDS ({','.join(self.backends)})")
        if (self.presto_tls_cert_path is None) != (self.presto_tls_key_path is None):
            raise ValueError("PRESTO_TLS_CERT_PATH and PRESTO_TLS_KEY_PATH must be set both or neither")
        try:
            names = read_identifier_names(self.identifier_columns, self.identifier_columns_file)
        except ValueError as error:
            raise ValueError(f"IDENTIFIER_COLUMNS_FILE: {error}") from None
        try:
            read_policy_file(self.review_policy, names)
        except ValueError as error:
            raise ValueError(f"REVIEW_POLICY: {error}") from None
        if not self.controller_task_api_endpoint.startswith(("http://", "https://")):
            raise ValueError("CONTROLLER_TASK_API_ENDPOINT must be a URL that starts with http:// or https://")
        if self.executor == "process" and self.database_urls:
            raise ValueError(
                "EXECUTOR=process runs jobs without any isolation: it is for tests, and refused where a database is"
                " configured. Unset the *_DATABASE_URL variables, or choose another executor"
            )
        return self

    @cached_property
    def database_urls(self) -> Mapping[str, str]:
        """Database name (lower case) -> URL, from the environment as it was when first asked."""
        return database_urls(os.environ)

    @cached_property
    def storage(self) -> Storage:
        """The folders, all absolute."""
        work = self.workdir.absolute()
        high = (self.high_privacy_storage_base or work / "high_privacy").absolute()
        medium = (self.medium_privacy_storage_base or work / "medium_privacy").absolute()
        archives = (self.high_privacy_archive_dir or high / "archives").absolute()
        return Storage(high, medium, archives, (self.high_privacy_volume_dir or high / "volumes").absolute())

    @cached_property
    def disclosure_policy(self) -> DisclosurePolicy:
        """What the disclosure rules hold outputs to, with the names of columns that the backend adds."""
        names = read_identifier_names(self.identifier_columns, self.identifier_columns_file)
        return read_policy_file(self.review_policy, names)

    @property
    def repo_policy(self) -> RepoPolicy:
        return self.policy(self.backend)

    @property
    def image_names(self) -> frozenset[str]:
        return frozenset(self.allowed_images)

    def secrets(self) -> set[str]:
        """What must never be read in a log at level 4."""
        values = {self.controller_task_api_token, self.private_repo_access_token, self.emis_organisation_hash}
        tokens = {value.get_secret_value() for value in values} - {"", *PLACEHOLDERS}
        return tokens | set(self.database_urls.values())


def database_urls(environ: Mapping[str, str]) -> dict[str, str]:
    """`DEFAULT_DATABASE_URL=...` -> {"default": "..."}, for every name."""
    names = {key.removesuffix(DATABASE_URL_SUFFIX) for key in environ if key.endswith(DATABASE_URL_SUFFIX)}
    return {
        name.lower(): environ[name + DATABASE_URL_SUFFIX]
        for name in sorted(names - _NOT_DATABASES - {""})
        if environ[name + DATABASE_URL_SUFFIX]
    }


def load() -> AgentSettings:
    """The settings of this process. Raises SettingsError."""
    return read_settings(AgentSettings)

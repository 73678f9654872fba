"""What the controller's processes are told by the environment (spec: controller.md section 5).

Names that hold a backend's slug (`TPP_MAX_WORKERS`) are read per backend: the slug in capitals, `-` as `_`. A value
that is missing or contradictory stops the process with a sentence (`carrel.units.settings.SettingsError`).
"""

import re
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from carrel.jobs.models import Capacity
from carrel.units.settings import CommaList, EnvironmentSettings, Seconds, SettingsError, Size, read_settings
from carrel.units.sizes import parse_size

SLUG = re.compile(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?")
DATABASE_NAME = re.compile(r"[a-z][a-z0-9_]*")


def prefix(backend: str) -> str:
    """`north-west` -> `NORTH_WEST_`, how the names of its variables begin."""
    return f"{backend.upper().replace('-', '_')}_"


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


class BackendSettings(EnvironmentSettings):
    """What is set for one backend. Times in seconds, cpus in cores, memory as "4G"."""

    job_server_token: str = ""
    """The raw token its agent may show; tokens of the Token table are good besides it."""
    job_server_link_token: str = ""
    """What the controller shows the job server that it polls for this backend; without one it polls none."""
    client_tokens: CommaList = []
    max_workers: float = Field(gt=0)
    max_db_workers: float = Field(gt=0)
    job_cpu_count: float = Field(gt=0)
    job_memory_limit: Size
    max_job_cpu_count: float = Field(gt=0)
    """The most a study's `resources` may ask for. Default: job_cpu_count, so that a study may only ask for less."""
    max_job_memory_limit: Size
    images: Annotated[Literal["registry", "local"], BeforeValidator(_lower)] = "registry"
    """`registry`: images are pinned to the registry's digests. `local`: they are on the backend already."""
    job_timeout: Seconds | None = None
    """How long one attempt may take; None: for ever."""

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, values: dict[str, Any]) -> dict[str, Any]:
        values = {**values.pop("defaults", {}), **values}
        for name, other in (
            ("max_db_workers", "max_workers"),
            ("max_job_cpu_count", "job_cpu_count"),
            ("max_job_memory_limit", "job_memory_limit"),
        ):
            values.setdefault(name, values.get(other))
        return values

    @field_validator("job_server_link_token")
    @classmethod
    def _fits_a_header(cls, value: str) -> str:
        if not (value.isascii() and value.isprintable()) or value != value.strip():
            raise ValueError("it holds characters that no token has")
        return value

    @model_validator(mode="after")
    def _two_tokens(self) -> "BackendSettings":
        if self.job_server_link_token and self.job_server_link_token == self.job_server_token:
            raise ValueError(
                "JOB_SERVER_LINK_TOKEN and JOB_SERVER_TOKEN are the same: the job server could play the agent"
            )
        return self

    @model_validator(mode="after")
    def _defaults_within_limits(self) -> "BackendSettings":
        if self.job_cpu_count > self.max_job_cpu_count:
            raise ValueError("JOB_CPU_COUNT is above MAX_JOB_CPU_COUNT")
        if parse_size(self.job_memory_limit) > parse_size(self.max_job_memory_limit):
            raise ValueError("JOB_MEMORY_LIMIT is above MAX_JOB_MEMORY_LIMIT")
        return self

    @property
    def capacity(self) -> Capacity:
        return Capacity(self.max_workers, self.max_db_workers)


class ControllerSettings(EnvironmentSettings):
    """What is set for the whole controller; `backend(slug)` for one backend."""

    # An empty list of backends means something here: `_empty_is_unset`.
    model_config = SettingsConfigDict(env_ignore_empty=False)

    backends: CommaList = ["test", "tpp", "emis", "ted"]
    workdir: Path = Path("workdir")
    backups_path: Path | None = None
    docker_registry: str = "ghcr.io/opensafely-core"
    valid_database_names: CommaList = ["default"]
    job_loop_interval: Seconds = 1.0
    """How often the sweep looks for what only time can trigger."""
    tick_poll_interval: Seconds = 30.0
    job_server_endpoint: str = ""
    """URL above `job-requests/` and `jobs/` of a job server to poll, where nobody can reach this one. Unset: none."""
    poll_interval: Seconds = 5.0
    """Between two questions to that job server, for each backend with a `{B}_JOB_SERVER_LINK_TOKEN`."""
    default_job_cpu_count: float = Field(default=2.0, gt=0)
    default_job_memory_limit: Size = "4G"
    level4_max_filesize: int = Field(default=16 * 1024 * 1024, gt=0)
    level4_max_csv_rows: int = Field(default=5000, gt=0)
    stata_license: str = ""
    maintenance_poll_interval: Seconds = 300.0
    maintenance_enabled_backends: CommaList = ["tpp"]
    data_check_poll_interval: Seconds = 86400.0
    data_check_enabled_backends: CommaList = ["tpp"]
    data_check_hes_expected_activity_month: str = Field(default="202304", pattern=r"^\d{6}$")
    workspace_ehrql_max_join_count: dict[str, int] = {}
    carrel_lease_seconds: Seconds = 60.0
    """How long an attempt of one of Carrel's agents is believed in without a heartbeat."""

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        """An empty variable counts as not given, but for the lists of backends, where it means none."""
        return {name: value for name, value in values.items() if value != "" or name.endswith("_enabled_backends")}

    @field_validator("backends")
    @classmethod
    def _slugs(cls, value: list[str]) -> list[str]:
        for slug in value:
            if not SLUG.fullmatch(slug):
                raise ValueError(f"'{slug}' is not a backend's slug (lower case letters, digits, - and _)")
        if len({prefix(slug) for slug in value}) != len(value) or not value:
            raise ValueError("name at least one backend, and none twice")
        return value

    @field_validator("job_server_endpoint")
    @classmethod
    def _endpoint(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise ValueError("it must be a URL that starts with http:// or https://")
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise ValueError("it must be a plain URL: no user, no password, nothing behind ? or #")
        return value

    @field_validator("valid_database_names")
    @classmethod
    def _database_names(cls, value: list[str]) -> list[str]:
        for name in value:
            if not DATABASE_NAME.fullmatch(name):
                raise ValueError(f"'{name}' is not a database's name (lower case letters, digits and _)")
        return value

    @property
    def backups(self) -> Path:
        return self.backups_path or self.workdir / "backups"

    @cached_property
    def per_backend(self) -> dict[str, BackendSettings]:
        return {slug: _load_backend(slug, self) for slug in self.backends}

    @property
    def linked_backends(self) -> list[str]:
        """Slugs of the backends for which a job server is polled."""
        if not self.job_server_endpoint:
            return []
        return [slug for slug, backend in self.per_backend.items() if backend.job_server_link_token]

    def backend(self, slug: str) -> BackendSettings:
        """Settings of one of `backends`. Raises KeyError for another slug."""
        return self.per_backend[slug]

    def capacity(self, slug: str) -> Capacity:
        """Room of a backend. One that is no longer in BACKENDS has none: what runs there ends, nothing starts."""
        backend = self.per_backend.get(slug)
        return backend.capacity if backend else Capacity(0, 0)


def _load_backend(slug: str, common: ControllerSettings) -> BackendSettings:
    defaults = {
        "max_workers": 2 if slug == "test" else 10,
        "job_cpu_count": common.default_job_cpu_count,
        "job_memory_limit": common.default_job_memory_limit,
    }
    return read_settings(BackendSettings, prefix(slug), defaults=defaults)


def load() -> ControllerSettings:
    """Settings from the process's environment, all checked. Raises SettingsError with a sentence."""
    try:
        settings = read_settings(ControllerSettings)
        if settings.job_server_endpoint and not settings.linked_backends:
            names = ", ".join(f"{prefix(slug)}JOB_SERVER_LINK_TOKEN" for slug in settings.backends)
            raise SettingsError(f"JOB_SERVER_ENDPOINT is set, and no backend has a token for it: set one of {names}.")
        _ = settings.per_backend
    except SettingsError as error:
        raise SettingsError(f"The environment cannot be used. {error}") from None
    return settings


@lru_cache(maxsize=1)
def get() -> ControllerSettings:
    """The settings of this process, read once. Tests call `get.cache_clear()` after changing the environment."""
    return load()

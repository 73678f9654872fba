"""What a site on one machine looks like: folders, secrets, and the environment each of its processes gets."""

import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field
from pathlib import Path

from carrel.agent.databases import is_file
from carrel.agent.storage import Storage
from carrel.units.files import write_atomically
from carrel.units.ignored import make_ignored

DESCRIPTION = "site.json"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


class SiteError(Exception):
    """The site cannot be laid out or started as asked; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class SiteBackend:
    """One place that holds data. `database_url` is what jobs on its database list may query; None: dummy data.

    `more_databases`: name -> URL of others, for requests that name them.
    """

    name: str
    database_url: str | None = None
    more_databases: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise SiteError(f"'{self.name}' cannot name a backend: use lower-case letters, digits and _ (tpp, north)")

    @property
    def databases(self) -> dict[str, str]:
        """Name -> URL of all."""
        default = {"default": self.database_url} if self.database_url else {}
        return default | {**self.more_databases}

    @property
    def file_databases(self) -> dict[str, str]:
        """Name -> URL. Others are servers, whose addresses hold passwords."""
        return {name: url for name, url in self.databases.items() if is_file(url)}


@dataclass(frozen=True, slots=True)
class Site:
    """A controller, a job server and an agent for each backend, under one folder. `executor` as in EXECUTOR.

    `jobserver_port` None: no job server. `review_backend`: the one that has a review site beside its agent; "": none.
    """

    root: Path
    backends: tuple[SiteBackend, ...]
    _: KW_ONLY
    port: int = 8000
    jobserver_port: int | None = None
    review_backend: str = ""
    review_port: int = 0
    dummy_databases: tuple[str, ...] = ()
    """Names of databases that requests may give though no backend has one: their actions get dummy data."""
    executor: str = "auto"
    toolchains: Path | None = None
    extra_env: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [backend.name for backend in self.backends]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise SiteError(f"backend '{twice}' is given twice: each needs a name of its own")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def rap_api(self) -> str:
        return f"{self.url}/controller/v1/"

    @property
    def jobserver_url(self) -> str:
        """The address that a person types."""
        return f"http://127.0.0.1:{self.jobserver_port}"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def catalogues(self) -> Path:
        """What data its backends have, a file each."""
        return self.root / "catalogues"

    @property
    def review_url(self) -> str:
        """The address of the review site, as a person types it."""
        return f"http://127.0.0.1:{self.review_port}"

    @property
    def review_workdir(self) -> Path:
        return self.root / "backends" / self.review_backend / "review"

    @property
    def review_token(self) -> Path:
        """The file with the review site's token at the job server."""
        return self.review_workdir / "job-server-token"

    @property
    def toolchains_dir(self) -> Path:
        return self.toolchains or self.root / "toolchains"

    def high_privacy(self, backend: str) -> Path:
        return self.root / "backends" / backend / "high_privacy"

    def medium_privacy(self, backend: str) -> Path:
        return self.root / "backends" / backend / "medium_privacy"

    def level4(self, backend: str, workspace: str) -> Path:
        """Where the moderately sensitive outputs of a workspace are, for output checkers."""
        return self.medium_privacy(backend) / "workspaces" / workspace

    def storage(self, backend: str) -> Storage:
        """Return the folders of a backend, as its agent has them."""
        high = self.high_privacy(backend)
        return Storage(high, self.medium_privacy(backend), high / "archives", high / "volumes")

    def describe(self) -> None:
        """Write `site.json`, from which `load_site` knows the site again; of databases, those that are files."""
        databases = {backend.name: backend.file_databases for backend in self.backends}
        described = {"port": self.port, "jobserver_port": self.jobserver_port, "databases": databases}
        write_private(self.root / DESCRIPTION, json.dumps(described))

    def controller_env(self, keys: "Secrets") -> dict[str, str]:
        names = [backend.name for backend in self.backends]
        env = {
            "BACKENDS": ",".join(names),
            "DEFAULT_BACKENDS": ",".join(names),
            "WORKDIR": str(self.root / "controller"),
            "DJANGO_CONTROLLER_SECRET_KEY": keys.django,
            "DJANGO_CONTROLLER_ALLOWED_HOSTS": "127.0.0.1,localhost",
            "DJANGO_DEBUG": "false",
            "ALLOW_LOCAL_GIT_REPOS": "true",
        }
        more = sorted({*self.dummy_databases, *(name for backend in self.backends for name in backend.more_databases)})
        env["VALID_DATABASE_NAMES"] = ",".join(["default", *more])
        for name in names:
            prefix = name.upper()
            env[f"{prefix}_JOB_SERVER_TOKEN"] = keys.agents[name]
            env[f"{prefix}_CLIENT_TOKENS"] = keys.client
            env[f"{prefix}_IMAGES"] = "local"
            env[f"{prefix}_MAX_WORKERS"] = str(max(2, os.cpu_count() or 2))
        return _process_env(env, self.extra_env)

    def jobserver_env(self, keys: "Secrets") -> dict[str, str]:
        env = {
            "CARREL_APPS": "jobserver",
            "WORKDIR": str(self.root / "jobserver"),
            "JOBSERVER_URL": self.jobserver_url,
            "DJANGO_JOBSERVER_SECRET_KEY": keys.jobserver,
            "DJANGO_JOBSERVER_ALLOWED_HOSTS": "127.0.0.1,localhost",
            "DJANGO_DEBUG": "false",
            "RAP_API_BASE_URL": self.rap_api,
            "RAP_API_TOKEN": keys.client,
            "RAP_API_POLL_INTERVAL": "1",
            "ALLOW_LOCAL_GIT_REPOS": "true",
        }
        return _process_env(env, self.extra_env)

    def review_env(self, keys: "Secrets") -> dict[str, str]:
        env = {
            "CARREL_APPS": "review",
            "WORKDIR": str(self.review_workdir),
            "BACKEND": self.review_backend,
            "MEDIUM_PRIVACY_STORAGE_BASE": str(self.medium_privacy(self.review_backend)),
            "REVIEW_URL": self.review_url,
            "DJANGO_REVIEW_SECRET_KEY": keys.review,
            "DJANGO_REVIEW_ALLOWED_HOSTS": "127.0.0.1,localhost",
            "DJANGO_DEBUG": "false",
            "JOB_SERVER_ENDPOINT": f"{self.jobserver_url}/api/v2/",
            "JOB_SERVER_TOKEN_FILE": str(self.review_token),
        }
        return _process_env(env, self.extra_env)

    def agent_env(self, backend: SiteBackend, keys: "Secrets") -> dict[str, str]:
        env = {
            "BACKEND": backend.name,
            "BACKENDS": ",".join(other.name for other in self.backends),
            "WORKDIR": str(self.root / "backends" / backend.name / "agent"),
            "HIGH_PRIVACY_STORAGE_BASE": str(self.high_privacy(backend.name)),
            "MEDIUM_PRIVACY_STORAGE_BASE": str(self.medium_privacy(backend.name)),
            "CONTROLLER_TASK_API_ENDPOINT": self.url,
            "CONTROLLER_TASK_API_TOKEN": keys.agents[backend.name],
            "EXECUTOR": self.executor,
            "TOOLCHAINS_DIR": str(self.toolchains_dir),
            "ALLOW_LOCAL_GIT_REPOS": "true",
        }
        if backend.database_url:
            env["DEFAULT_DATABASE_URL"] = backend.database_url
        else:
            env["USING_DUMMY_DATA_BACKEND"] = "true"
        env |= {f"{name.upper()}_DATABASE_URL": url for name, url in backend.more_databases.items()}
        return _process_env(env, self.extra_env)

    def make_folders(self) -> None:
        """Make what the processes expect to find; each level's folder is its owner's alone. SiteError if it cannot."""
        try:
            self._make_folders()
        except OSError as error:
            raise SiteError(f"{error.filename or self.root} cannot be made: {error.strerror}") from error

    def _make_folders(self) -> None:
        make_ignored(self.root)
        self.root.chmod(0o700)
        for folder in (self.root / "controller", self.root / "jobserver", self.logs, self.toolchains_dir):
            folder.mkdir(parents=True, exist_ok=True)
        for backend in self.backends:
            for folder in (self.high_privacy(backend.name), self.medium_privacy(backend.name)):
                folder.mkdir(parents=True, exist_ok=True)
            (self.root / "backends" / backend.name / "agent").mkdir(exist_ok=True)
        if self.review_backend:
            (self.medium_privacy(self.review_backend) / "workspaces").mkdir(exist_ok=True)
            self.review_workdir.mkdir(exist_ok=True)
        self._show_toolchains()

    def _show_toolchains(self) -> None:
        """Let `toolchains` in the site's folder name the shared store, for scripts that look for it there."""
        shown = self.root / "toolchains"
        if shown.is_symlink() and shown.readlink() != self.toolchains_dir:
            shown.unlink()
        if not os.path.lexists(shown):
            shown.symlink_to(self.toolchains_dir)


@dataclass(frozen=True, slots=True)
class Secrets:
    """A site's secrets, made once and kept in `secrets.json` (mode 0600): one token for each agent, one for clients.

    `password` is the one with which the site's owner signs in to the job server.
    """

    django: str
    client: str
    agents: Mapping[str, str]
    jobserver: str = ""
    password: str = ""
    review: str = ""

    @classmethod
    def of(cls, site: Site) -> "Secrets":
        path = site.root / "secrets.json"
        before = json.loads(path.read_text()) if path.exists() else {}
        agents = {**before.get("agents", {})}
        for backend in site.backends:
            agents.setdefault(backend.name, secrets.token_urlsafe(32))
        django = before.get("django") or secrets.token_urlsafe(48)
        client = before.get("client") or secrets.token_urlsafe(32)
        jobserver = before.get("jobserver") or secrets.token_urlsafe(48)
        password = before.get("password") or "-".join(secrets.token_hex(2) for _ in range(4))
        review = before.get("review") or secrets.token_urlsafe(48)
        after = cls(django, client, agents, jobserver, password, review)
        if asdict(after) != before:
            write_private(path, json.dumps(asdict(after), indent=2))
        return after


def load_site(root: Path) -> Site:
    """Return the site that was last up in `root`; SiteError when there was none."""
    try:
        description = json.loads((root / DESCRIPTION).read_bytes())
        databases = description.get("databases", {})  # a site that was started before they were noted has none here
        backends = [SiteBackend(name, urls.pop("default", None), urls) for name, urls in databases.items()]
        return Site(
            root.resolve(),
            tuple(backends),
            port=int(description["port"]),
            jobserver_port=description.get("jobserver_port"),
        )
    except (OSError, ValueError, KeyError, AttributeError):
        raise SiteError(f"no site in {root}: start one with `carrel up --dir {root}`") from None


def write_private(path: Path, text: str) -> None:
    """Write whole or not at all, readable by the owner alone from the first byte."""
    write_atomically(path, text.encode(), synced="file", mode=0o600)


PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LOGLEVEL", "LOG_FORMAT")


def _process_env(env: Mapping[str, str], extra: Mapping[str, str]) -> dict[str, str]:
    """Only what the process needs of ours: a laptop's environment may hold tokens that are no business of a site."""
    ours = {
        key: value
        for key, value in os.environ.items()
        if key in PASSED_ON or key.startswith(("CARREL_FAULT", "DOCKER_", "OTEL_", "SENTRY_"))
    }
    return {**ours, **env, **extra}

"""Who gets which database, and how: environment, network and mounts of a database action (agent.md part 1)."""

import contextlib
import ipaddress
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from carrel.agent.errors import DatabaseRefused, DatabaseUnavailable
from carrel.agent.settings import AgentSettings
from carrel.executors.base import Mount, Network
from carrel.messages.tasks import JobDefinition
from carrel.project.commands import is_database_action
from carrel.warehouse import layout, versions

FILE_SCHEMES = ("duckdb", "delta", "parquet")
INSIDE = "/database"
"""Where a file database is shown in the container."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a job gets to reach its database: nothing, by default. `version` names the data, for the record."""

    env: Mapping[str, str] = field(default_factory=dict)
    network: Network = field(default_factory=Network)
    mounts: tuple[Mount, ...] = ()
    version: str | None = None


def wants_database(job: JobDefinition, settings: AgentSettings) -> bool:
    """Whether the job is to get a database; DatabaseRefused when it asks for one with an image that never gets it."""
    if not job.allow_database_access:
        return False
    if not is_database_action([job.image.rpartition("/")[2], *job.args]):
        raise DatabaseRefused("Only database actions may have database access, and this image and command are none")
    return not settings.using_dummy_data_backend


def url_of(job: JobDefinition, settings: AgentSettings) -> str:
    """The URL of the job's database; DatabaseUnavailable when this backend has none of that name."""
    return url_named(job.database_name, settings)


def url_named(database_name: str | None, settings: AgentSettings) -> str:
    """The URL of the database of that name (None: `default`); DatabaseUnavailable when this backend has none of it."""
    name = database_name or "default"
    try:
        return settings.database_urls[name.lower()]
    except KeyError:
        raise DatabaseUnavailable(
            f"Database name '{name}' is not configured on this backend: set {name.upper()}_DATABASE_URL"
        ) from None


def grant_access(job: JobDefinition, settings: AgentSettings, pins: Path, version: str | None = None) -> Access:
    """All that the job gets. File databases are pinned: the version found first, in `pins` or by its number in the
    address, stays; `version` is that, once it is known.

    Raises DatabaseRefused, and DatabaseUnavailable also when the database's host has no address now.
    """
    if not wants_database(job, settings):
        return Access()
    return grant_access_to(url_of(job, settings), settings, pins, version)


def grant_access_to(url: str, settings: AgentSettings, pins: Path, version: str | None = None) -> Access:
    """All that a process gets to reach the database at `url`."""
    scheme = urlsplit(url).scheme.partition("+")[0]
    return _file_access(url, scheme, pins, version) if is_file(url) else _network_access(url, settings)


def is_file(url: str) -> bool:
    """Whether the address is of a file or folder, not of a server."""
    return urlsplit(url).scheme.partition("+")[0] in FILE_SCHEMES


def _network_access(url: str, settings: AgentSettings) -> Access:
    env = {"DATABASE_URL": url}
    if settings.temp_database_name:
        env["TEMP_DATABASE_NAME"] = settings.temp_database_name
    if organisation := settings.emis_organisation_hash.get_secret_value():
        env["EMIS_ORGANISATION_HASH"] = organisation
    if settings.presto_tls_cert_path and settings.presto_tls_key_path:
        env["PRESTO_TLS_CERT"] = settings.presto_tls_cert_path.read_text()
        env["PRESTO_TLS_KEY"] = settings.presto_tls_key_path.read_text()
    return Access(env, Network("database", settings.database_access_network, _look_up_address(urlsplit(url).hostname)))


def _look_up_address(host: str | None) -> dict[str, str]:
    """The host's address, found here because there is no DNS inside; nothing for one that is an address."""
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host or "")
        return {}
    try:
        addresses = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        raise DatabaseUnavailable("The database's host name has no address at present") from None
    return {str(host): str(addresses[0][4][0])}


def _file_access(url: str, scheme: str, pins: Path, version: str | None) -> Access:
    path = path_of(url)
    if not path.exists():
        raise DatabaseUnavailable(f"There is no database at {path}")
    if path.is_dir():
        return _folder_access(path.resolve(), scheme, version)
    source, pinned_version = _pin_file(path, pins, version)
    target = f"{INSIDE}/{path.name}"
    return Access({"DATABASE_URL": f"{scheme}://{quote(target)}"}, Network(), (Mount(source, target),), pinned_version)


def _folder_access(root: Path, scheme: str, version: str | None) -> Access:
    """A warehouse: its tables are shown, and the address says which version of each to read, whatever comes later."""
    try:
        pinned_version = versions.version_of(root) if version is None else version
    except (OSError, ValueError) as error:
        raise DatabaseUnavailable(f"The warehouse at {root} cannot be read: {error}") from error
    source = layout.tables_folder(root)
    target = f"{INSIDE}/{root.name}"
    shown = Mount(source, f"{INSIDE}/{source.relative_to(root.parent)}")
    query = f"?{quote(versions.query_of(pinned_version), safe='=')}" if scheme == "delta" else ""
    return Access({"DATABASE_URL": f"{scheme}://{quote(target)}{query}"}, Network(), (shown,), pinned_version)


def read_version(url: str) -> str:
    """The version of a file database that a job would be given now; DatabaseUnavailable when there is none."""
    path = path_of(url)
    if not is_file(url):
        raise DatabaseUnavailable("The database is no file any more, and has no version")
    try:
        return versions.version_of(path.resolve()) if path.is_dir() else _file_version(path.resolve())
    except (OSError, ValueError) as error:
        raise DatabaseUnavailable(f"The database at {path} cannot be read: {error}") from error


def changes(url: str, before: str, after: str) -> dict[str, list[str | None]]:
    """How the data at `url` differs between two of its versions, as `versions.changes`."""
    return versions.data_changes(path_of(url).resolve(), versions.changes(before, after))


def path_of(url: str) -> Path:
    """`duckdb:///srv/x.duckdb` -> /srv/x.duckdb; four slashes mean the same."""
    return Path("/" + unquote(urlsplit(url).path).lstrip("/"))


def _pin_file(path: Path, pins: Path, version: str | None) -> tuple[Path, str]:
    """The file's present contents under a name of our own, where the file system can, and what to call them."""
    pin = pins / f"database-{path.name}"
    if version is not None and pin.exists():
        return pin, version
    real = path.resolve()
    present_version = _file_version(real)
    return _link(real, pin), present_version


def _file_version(path: Path) -> str:
    status = path.stat()
    changed = datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="microseconds")
    return f"{changed}/{status.st_size}"


def _link(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        return source
    return target

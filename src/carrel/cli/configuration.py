"""The page docs/reference/configuration.md, made from the settings classes: `python -m carrel.cli.configuration`."""

import ast
import inspect
import os
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

import click

INTRO = """# Configuration

Every process is told by its environment, with OpenSAFELY's names where OpenSAFELY has one. A value that is missing or
contradicts another stops the process with a sentence. `carrel config show --process agent` (or `controller`, `local`)
prints what is in force and where each value came from, secrets masked.

This page is made by `python -m carrel.cli.configuration`; a test fails when it leaves a setting out. `{B}` stands for a
backend's slug in capitals, `-` as `_`: `TPP_MAX_WORKERS`. Times in seconds unless written as `30m`, `6h`, `2d`.
"""

TELEMETRY = {
    "LOGLEVEL": ("INFO", "`DEBUG`, `INFO`, `WARNING` or `ERROR`."),
    "LOG_FORMAT": ("", "`json`: each record as a JSON object on one line."),
    "DEBUG_LOG_FILE": ("", "A file for all from DEBUG on; a new one each day, 14 are kept."),
    "TRACE_LOG_LEVEL": ("ERROR", "Of what OpenTelemetry says of itself."),
    "OTEL_EXPORTER_OTLP_ENDPOINT": ("", "Send traces there, by OTLP over HTTP; needs `carrel[otlp]`."),
    "OTEL_EXPORTER_OTLP_HEADERS": ("", "`name=value,...` to send with them; alone, they go to Honeycomb."),
    "OTEL_EXPORTER_CONSOLE": ("", "Set to anything: traces on stdout."),
    "OTEL_SERVICE_NAME": ("jobrunner", "What traces call the service."),
    "SENTRY_DSN": ("", "Send error reports to this project of Sentry; needs `carrel[sentry]`."),
    "VERSION": ("unknown", "What traces and error reports call its version."),
}
AGENT = {
    "{NAME}_DATABASE_URL": ("", "What a job gets as `DATABASE_URL` when it asks for the database NAME."),
}

WORDS = {
    "BACKENDS": "Slugs of the backends there are, by commas.",
    "WORKDIR": "Where the process keeps its own files: database, mirrors of repositories, the executor's state.",
    "HIGH_PRIVACY_STORAGE_BASE": "All outputs and permanent logs. Default: `WORKDIR/high_privacy`.",
    "MEDIUM_PRIVACY_STORAGE_BASE": "What level 4 may see. Default: `WORKDIR/medium_privacy`.",
    "HIGH_PRIVACY_ARCHIVE_DIR": "Archived workspaces. Default: `archives` beside the workspaces.",
    "HIGH_PRIVACY_VOLUME_DIR": "Working folders of jobs. Default: `volumes` beside the workspaces.",
    "CONTROLLER_TASK_API_ENDPOINT": "The controller's URL.",
    "CONTROLLER_TASK_API_TOKEN": "What the agent shows the controller; the controller's `{B}_JOB_SERVER_TOKEN`.",
    "LONG_POLL_SECONDS": "How long the controller may hold a request for tasks back until something changes.",
    "EXECUTOR": "`auto`, `docker`, `podman`, `bubblewrap`; `process` has no isolation and is for tests of the agent.",
    "TOOLCHAINS_DIR": "The toolchains for bubblewrap.",
    "DOCKER_USER_ID": "User of processes in containers. Default: the agent's own.",
    "DOCKER_GROUP_ID": "Their group. Default: the agent's own.",
    "DOCKER_REGISTRY": "What stands before an image's name.",
    "DOCKER_REGISTRY_USERNAME": "For a registry that asks.",
    "DOCKER_REGISTRY_PASSWORD": "For a registry that asks.",
    "IMAGE_PULL_TIMEOUT": "How long one pull may take.",
    "USING_DUMMY_DATA_BACKEND": "`true`: jobs get no `DATABASE_URL`, and never the internet.",
    "DATABASE_ACCESS_NETWORK": "The container network that leads to the database and nowhere else.",
    "TEMP_DATABASE_NAME": "Handed to database jobs.",
    "EMIS_ORGANISATION_HASH": "Handed to database jobs.",
    "PRESTO_TLS_CERT_PATH": "Contents handed to database jobs; with the next, both or neither.",
    "PRESTO_TLS_KEY_PATH": "Contents handed to database jobs.",
    "ALLOWED_GITHUB_ORGS": "Whose repositories may be read.",
    "ALLOW_LOCAL_GIT_REPOS": "`true`: a repository may be a path on this machine.",
    "ALLOWED_GIT_URLS": "URLs of other hosts, or of folders of theirs, whose repositories may be read.",
    "GITHUB_PROXY_DOMAIN": "Host (or base URL) that stands in for github.com.",
    "PRIVATE_REPO_ACCESS_TOKEN": "For private repositories; never shown or logged.",
    "STATS_POLL_INTERVAL": "Between two samples of a job's resources; at least 2.",
    "MAX_LOG_BYTES": "A longer log keeps its head and tail and says how much was cut.",
    "LOGLEVEL": "`DEBUG`, `INFO`, `WARNING` or `ERROR`.",
    "BACKUPS_PATH": "Where `snapshot_database` writes. Default: `WORKDIR/backups`.",
    "VALID_DATABASE_NAMES": "Names of databases that a request may use.",
    "TICK_POLL_INTERVAL": "Between two ticks of telemetry.",
    "DEFAULT_JOB_CPU_COUNT": "Cores of a job, where `{B}_JOB_CPU_COUNT` says nothing.",
    "DEFAULT_JOB_MEMORY_LIMIT": "Memory of a job, where `{B}_JOB_MEMORY_LIMIT` says nothing.",
    "LEVEL4_MAX_FILESIZE": "Bytes; a larger file never reaches level 4.",
    "LEVEL4_MAX_CSV_ROWS": "A longer table never reaches level 4.",
    "STATA_LICENSE": "Handed to jobs of `stata-mp` images.",
    "MAINTENANCE_POLL_INTERVAL": "Between two questions whether the database is being maintained.",
    "MAINTENANCE_ENABLED_BACKENDS": "Backends whose database is asked so.",
    "DATA_CHECK_POLL_INTERVAL": "Between two checks of the data.",
    "DATA_CHECK_ENABLED_BACKENDS": "Backends whose data is checked so.",
    "DATA_CHECK_HES_EXPECTED_ACTIVITY_MONTH": "What that check expects, `YYYYMM`.",
    "RAP_API_POLL_INTERVAL": "Between two questions to a controller about requests that are not over.",
    "JOB_SERVER_TOKEN": "The backend's token at the job server; never shown or logged.",
    "REVIEW_UPLOAD_INTERVAL": "Between two looks for approved files.",
    "MAX_RELEASE_FILE_BYTES": "A larger file cannot be released.",
    "RAP_API_TOKEN": "The controller's `{B}_CLIENT_TOKENS` hold it.",
    "EMAIL_PORT": "The mail server's port.",
    "EMAIL_HOST_USER": "For a mail server that asks.",
    "EMAIL_HOST_PASSWORD": "For a mail server that asks.",
    "EMAIL_USE_TLS": "`true`: STARTTLS before anything is sent.",
    "OIDC_CLIENT_ID": "By which the provider knows this site.",
    "OIDC_CLIENT_SECRET": "With it, the provider believes this site; never shown or logged.",
    "GITHUB_CLIENT_SECRET": "That app's secret; never shown or logged.",
    "DEFAULT_FROM_EMAIL": "Who the site's mails are from.",
    "WORKSPACE_EHRQL_MAX_JOIN_COUNT": "JSON: workspace to number, handed to its database jobs.",
    "ACTIONS_GITHUB_ORG_URL": "Where reusable actions are.",
    "{B}_CLIENT_TOKENS": "Tokens of RAP API clients that may use the backend, by commas.",
    "{B}_MAX_WORKERS": "Jobs (sum of weights) at once. Default: 10, for `test` 2.",
    "{B}_MAX_DB_WORKERS": "The same for database jobs. Default: `{B}_MAX_WORKERS`.",
    "{B}_JOB_CPU_COUNT": "Cores of a job. Default: `DEFAULT_JOB_CPU_COUNT`.",
    "{B}_JOB_MEMORY_LIMIT": "Memory of a job. Default: `DEFAULT_JOB_MEMORY_LIMIT`.",
    "{B}_MAX_JOB_MEMORY_LIMIT": "The most a study's `resources` may ask for. Default: `{B}_JOB_MEMORY_LIMIT`.",
}
"""Words for settings whose name says enough to a reader of the code, and not to a reader of the page."""

Setting = tuple[str, str, str]
"""Variable, default, what it means."""


def page() -> str:
    """Return the whole page as Markdown."""
    parts = [INTRO]
    for heading, settings in sections():
        lines = [f"## {heading}", "", "| variable | default | |", "|---|---|---|"]
        for name, default, text in settings:
            cell = f"`{default}`" if default not in ("", "required") else default
            lines.append(f"| `{name}` | {cell} | {text} |")
        parts.append("\n".join([*lines, ""]))
    return "\n".join(parts)


def sections() -> Iterator[tuple[str, list[Setting]]]:
    """Yield the heading and the settings of each process."""
    from carrel.agent.settings import AgentSettings

    os.environ["DJANGO_SETTINGS_MODULE"] = "carrel.web.all_apps"
    import django

    django.setup()
    from carrel.controller.creation import CreationSettings
    from carrel.controller.images import ImageSettings
    from carrel.controller.settings import BackendSettings, ControllerSettings
    from carrel.jobserver.settings import ControllerLink, JobServerSettings
    from carrel.local.settings import LocalSettings
    from carrel.repos.settings import RepoSettings
    from carrel.review.settings import ReviewSettings
    from carrel.web.jobserver import PagesSettings
    from carrel.web.review import ReviewPagesSettings
    from carrel.web.settings import DjangoSettings
    from carrel.web.sign_in import SignInSettings

    yield "Every process of a backend and of the controller: logs and traces", list(_fixed(TELEMETRY))
    yield "Agent", [*_of(AgentSettings), *_fixed(AGENT)]
    controller = [row for part in (RepoSettings, ImageSettings, CreationSettings) for row in _of(part)]
    django_settings = [setting for setting in _of(DjangoSettings) if setting[0] != "WORKDIR"]  # the controller's too
    yield "Controller", [*_of(ControllerSettings), *django_settings, *controller]
    yield "Controller, for each backend", list(_of(BackendSettings, "{B}_"))
    jobserver = (JobServerSettings, PagesSettings, SignInSettings, RepoSettings)
    yield "Job server", [row for part in jobserver for row in _of(part)]
    yield "Job server, for each controller it asks", list(_of(ControllerLink))
    yield "Review site", [row for part in (ReviewSettings, ReviewPagesSettings) for row in _of(part)]
    yield "`carrel run` and its kin", list(_of(LocalSettings))


def _fixed(settings: dict[str, tuple[str, str]]) -> Iterator[Setting]:
    return ((name, *about) for name, about in settings.items())


def _of(settings: Any, prefix: str = "") -> Iterator[Setting]:
    words = _docstrings(settings)
    for name, default in _defaults(settings):
        variable = prefix + name.upper()
        yield variable, default, words.get(name) or WORDS.get(variable, "")


def _defaults(settings: Any) -> Iterator[tuple[str, str]]:
    if is_dataclass(settings):
        for field in fields(settings):
            yield field.name, _shown(None if field.default is MISSING else field.default)
        return
    # What a backend does not set is taken from the whole controller's: the words say from where.
    required = "" if settings.__name__ == "BackendSettings" else "required"
    for name, info in settings.model_fields.items():
        has_default = not info.is_required() or info.default_factory
        yield name, _shown(info.default) if has_default else required


def _shown(value: Any) -> str:
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return "" if value is None or "Undefined" in str(value) else str(value)


def _docstrings(settings: type) -> dict[str, str]:
    """Return the string that follows a field in the source: what a reader of the code sees is what the page says."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(settings))).body
    assert isinstance(tree, ast.ClassDef)
    texts = {}
    for field, after in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            texts[ast.unparse(field.target)] = " ".join(str(after.value.value).split())
    return texts


if __name__ == "__main__":
    click.echo(page(), nl=False)

"""Which app a management command belongs to, and with which environment it runs on a site of `carrel up`."""

from importlib.resources import files
from pathlib import Path

from carrel.site.layout import Secrets, SiteError, load_site

APPS = {"controller": "controller", "jobserver": "job server"}
"""Apps with management commands, and what people call them."""


def app_of(command: str) -> str | None:
    """Return the app that has a command of this name; None for Django's own, and for one that is nowhere."""
    return next(
        (app for app in APPS if files(f"carrel.{app}").joinpath(f"management/commands/{command}.py").is_file()), None
    )


def site_environment(root: Path, command: str) -> dict[str, str]:
    """Return the environment of the process of a site that the command belongs to. Raises SiteError.

    Django's own commands (migrate, shell) run on the controller.
    """
    site = load_site(root)
    keys = Secrets.of(site)
    if app_of(command) != "jobserver":
        return site.controller_env(keys)
    if site.jobserver_port is None:
        raise SiteError(f"the site in {root} has no job server, whose command {command} is")
    return site.jobserver_env(keys)


def misplaced(command: str, apps: tuple[str, ...]) -> str:
    """Say why a command of another app than this process's is not there; "" where it is."""
    app = app_of(command)
    if app is None or app in apps:
        return ""
    return (
        f"{command} is a command of the {APPS[app]}, and CARREL_APPS says {','.join(apps)}. Set CARREL_APPS={app} and "
        "the settings of that process, or name the site of `carrel up`: "
        f"carrel manage --site DIR {command} ..."
    )

"""Django's settings, all taken from the environment (spec: controller.md section 5)."""

import secrets
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from carrel.units.limits import MAX_REQUEST_BYTES
from carrel.units.settings import CommaList, EnvironmentSettings, SettingsError, Truth, read_settings
from carrel.web.databases import database_settings

App = Literal["controller", "jobserver", "review"]


class DjangoSettings(EnvironmentSettings):
    """What the environment says of the Django project itself."""

    carrel_apps: CommaList = ["controller"]
    """What this process serves: `controller`, `jobserver`, or both, in one database; or `review`, by itself."""
    workdir: Path = Path("workdir")
    carrel_database_url: SecretStr = SecretStr("")
    """`postgresql://user:password@host/name` for PostgreSQL; else SQLite in WORKDIR."""
    django_controller_secret_key: SecretStr | None = None
    """Required by `carrel web` for a controller. Any long random text, the same for all its processes."""
    django_controller_allowed_hosts: CommaList = []
    """Required by `carrel web` for a controller. Host names it answers to, by commas."""
    django_jobserver_secret_key: SecretStr | None = None
    """Required by `carrel web` for a job server: signs sessions, so all its processes share it."""
    django_jobserver_allowed_hosts: CommaList = []
    """Host names the job server answers to besides the one of JOBSERVER_URL."""
    django_review_secret_key: SecretStr | None = None
    """Required by `carrel web` for a review site: signs sessions, so all its processes share it."""
    django_review_allowed_hosts: CommaList = []
    """Host names the review site answers to besides the one of REVIEW_URL."""
    trusted_proxy: str = ""
    """Network address of the TLS proxy before this process: its word counts for who calls, and whether by https."""
    django_debug: Truth = False
    """`true` on a machine of your own only."""


_own = read_settings(DjangoSettings)
APPS = tuple(_own.carrel_apps)
if APPS != ("review",) and (not APPS or not {"controller", "jobserver"}.issuperset(APPS)):
    raise SettingsError("CARREL_APPS: name `controller`, `jobserver`, or both with a comma between; or `review` alone.")
DEBUG = _own.django_debug
TRUSTED_PROXY = _own.trusted_proxy
# `carrel.web.serve` refuses to serve without a key of its own; commands and tests need none that lasts.
_keys = {
    "controller": _own.django_controller_secret_key,
    "jobserver": _own.django_jobserver_secret_key,
    "review": _own.django_review_secret_key,
}
_key = next((_keys[app] for app in reversed(APPS) if _keys[app]), None)
SECRET_KEY = _key.get_secret_value() if _key else secrets.token_urlsafe(50)
ALLOWED_HOSTS = _own.django_controller_allowed_hosts if "controller" in APPS else []

INSTALLED_APPS = ["carrel.controller"] if "controller" in APPS else []
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "carrel.web.urls"
WSGI_APPLICATION = "carrel.web.wsgi.application"
DATABASES = {"default": database_settings(_own.carrel_database_url.get_secret_value(), _own.workdir.absolute())}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
APPEND_SLASH = False
# Results of an OpenSAFELY agent carry the whole of its container's metadata, and batches carry many results.
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_REQUEST_BYTES

if "jobserver" in APPS:
    from carrel.web.jobserver import jobserver_settings

    for _name, _value in jobserver_settings(_own.workdir.absolute(), _own.django_jobserver_allowed_hosts).items():
        _before = globals().get(_name, [])
        # The site's middleware stands first, so that what browsers are told stands on every answer.
        _both = _value + _before if _name == "MIDDLEWARE" else _before + _value if isinstance(_value, list) else _value
        globals()[_name] = _both
if "review" in APPS:
    from carrel.web.review import review_settings

    # The proxies' and the sites' middleware is all that the project would have added.
    globals().update(review_settings(_own.workdir.absolute(), _own.django_review_allowed_hosts))
    MIDDLEWARE = [*globals()["MIDDLEWARE"], "django.middleware.common.CommonMiddleware"]
if "controller" in APPS:
    MIDDLEWARE.append("carrel.controller.outages.OutageMiddleware")

"""Django's settings, all taken from the environment (spec: controller.md section 5)."""

import secrets
from pathlib import Path

from pydantic import SecretStr

from carrel.units.limits import MAX_REQUEST_BYTES
from carrel.units.settings import CommaList, EnvironmentSettings, Truth, read_settings
from carrel.web.databases import database_settings


class DjangoSettings(EnvironmentSettings):
    """What the environment says of the Django project itself."""

    workdir: Path = Path("workdir")
    carrel_database_url: SecretStr = SecretStr("")
    """`postgresql://user:password@host/name` for PostgreSQL; else SQLite in WORKDIR."""
    django_controller_secret_key: SecretStr | None = None
    """Required by `carrel web`. Any long random text, the same for all processes of a controller."""
    django_controller_allowed_hosts: CommaList = []
    """Required by `carrel web`. Host names the controller answers to, by commas."""
    django_debug: Truth = False
    """`true` on a machine of your own only."""


_own = read_settings(DjangoSettings)
DEBUG = _own.django_debug
# `carrel.web.serve` refuses to serve without a key of its own; commands and tests need none that lasts.
_key = _own.django_controller_secret_key
SECRET_KEY = _key.get_secret_value() if _key else secrets.token_urlsafe(50)
ALLOWED_HOSTS = _own.django_controller_allowed_hosts

INSTALLED_APPS = ["carrel.controller"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware", "carrel.controller.outages.OutageMiddleware"]
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

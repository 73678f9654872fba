"""Django's settings, all taken from the environment (spec: controller.md section 5)."""

import os
import secrets
from pathlib import Path

from carrel.units.limits import MAX_REQUEST_BYTES
from carrel.units.words import is_true, split_list
from carrel.web.databases import database_settings

WORKDIR = Path(os.environ.get("WORKDIR") or "workdir").absolute()
DEBUG = is_true(os.environ.get("DJANGO_DEBUG", ""))
# `carrel.web.serve` refuses to serve without a key of its own; commands and tests need none that lasts.
SECRET_KEY = os.environ.get("DJANGO_CONTROLLER_SECRET_KEY") or secrets.token_urlsafe(50)
ALLOWED_HOSTS = list(split_list(os.environ.get("DJANGO_CONTROLLER_ALLOWED_HOSTS", "")))

INSTALLED_APPS = ["carrel.controller"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware", "carrel.controller.outages.OutageMiddleware"]
ROOT_URLCONF = "carrel.web.urls"
WSGI_APPLICATION = "carrel.web.wsgi.application"
DATABASES = {"default": database_settings(os.environ.get("CARREL_DATABASE_URL", ""), WORKDIR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
APPEND_SLASH = False
# Results of an OpenSAFELY agent carry the whole of its container's metadata, and batches carry many results.
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_REQUEST_BYTES

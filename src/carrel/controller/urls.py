"""Paths of the task API, health and metrics. Each works with and without its trailing slash."""

from django.urls import URLPattern, URLResolver, include, path, re_path

from carrel.controller import health, task_api

BACKEND = r"(?P<backend>[^/]+)"

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^$", health.index),
    re_path(r"^healthz/?$", health.healthz),
    re_path(r"^readyz/?$", health.readyz),
    re_path(r"^metrics/?$", health.metrics),
    path("controller/v1/", include("carrel.controller.rap_api_urls")),
    re_path(rf"^{BACKEND}/tasks/?$", task_api.tasks),
    re_path(rf"^{BACKEND}/task/update/?$", task_api.task_update),
    re_path(rf"^{BACKEND}/tasks/updates/?$", task_api.task_updates),
    re_path(rf"^{BACKEND}/tasks/heartbeat/?$", task_api.heartbeat),
]

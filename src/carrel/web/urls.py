"""Which app answers which path."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []

"""URLs of the review site."""

from django.urls import URLPattern, URLResolver

from carrel.review.site_pages import PAGES

urlpatterns: list[URLPattern | URLResolver] = [page.url_pattern() for page in PAGES]

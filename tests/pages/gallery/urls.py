"""The gallery's pages."""

from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import path
from tests.pages.gallery import views

urlpatterns = [
    path("", views.index, name="index"),
    path("live/parts/", views.live_fragment, name="live_fragment"),
    path("<slug:name>/", views.show, name="show"),
    *staticfiles_urlpatterns(),
]
handler400 = "carrel.pages.errors.bad_request"
handler403 = "carrel.pages.errors.forbidden"
handler404 = "carrel.pages.errors.not_found"
handler500 = "carrel.pages.errors.server_error"

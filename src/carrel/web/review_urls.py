"""The review site's URLs: it is alone in its process."""

from carrel.review.urls import urlpatterns as urlpatterns

handler400 = "carrel.pages.errors.bad_request"
handler403 = "carrel.pages.errors.forbidden"
handler404 = "carrel.pages.errors.not_found"
handler500 = "carrel.pages.errors.server_error"

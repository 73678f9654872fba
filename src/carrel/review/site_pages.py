"""All pages of the review site."""

from carrel.review.access import ReviewPage
from carrel.review.views import home, sign_in

PAGES: list[ReviewPage] = [*home.PAGES, *sign_in.PAGES]

"""A workspace."""

from carrel.jobserver.rights.access import Page

PROJECT_PAGES: list[Page] = []

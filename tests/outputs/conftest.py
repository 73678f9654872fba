"""Fixtures of the outputs' tests: a site with an agent."""

from tests.support.agent_site import make_site, site, study

__all__ = ["make_site", "site", "study"]

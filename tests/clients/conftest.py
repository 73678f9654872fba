"""A live job server of ours for the clients of its APIs."""

from tests.jobserver.api.conftest import api, database, database_template, workdir

__all__ = ["api", "database", "database_template", "workdir"]

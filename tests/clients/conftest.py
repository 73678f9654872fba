"""A live job server of ours for the clients of its APIs."""

from tests.jobserver.api.conftest import api, database, workdir

__all__ = ["api", "database", "workdir"]

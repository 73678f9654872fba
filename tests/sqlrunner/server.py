"""A PostgreSQL server with a role that may read some tables, addressed with a password that must not be seen."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.postgres import Cluster, running_cluster

PASSWORD = "s3cret-pass"


@dataclass(frozen=True)
class Server:
    cluster: Cluster

    @property
    def url(self) -> str:
        """As a role that may only read."""
        return self.cluster.url("postgres").replace("postgres@", f"reader:{PASSWORD}@")

    @property
    def writer_url(self) -> str:
        """As a role that may write all tables and make new ones, and no more than that."""
        return self.cluster.url("postgres").replace("postgres@", "writer@")

    def execute(self, sql: str) -> None:
        """As the owner."""
        self.cluster.execute(sql)


@contextmanager
def running_server(tables: str) -> Iterator[Server]:
    """A server on which the SQL `tables` was run; `reader` may read what it made, but not the table `closed`."""
    with running_cluster() as cluster:
        server = Server(cluster)
        server.execute(tables)
        server.execute("CREATE TABLE closed (a int); CREATE ROLE reader LOGIN; GRANT SELECT ON t TO reader")
        server.execute("CREATE ROLE writer LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO writer")
        server.execute("GRANT CREATE ON SCHEMA public TO writer")
        yield server

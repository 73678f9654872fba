"""The local run: the same plan and executors as the server, with no server and no database."""

"""Clients of the APIs that Carrel speaks: one per API, used by commands, by a site, and by the job server."""

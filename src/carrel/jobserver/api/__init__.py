"""The machine API (docs/reference/job-server-api.md): the contract's, our own, and the first one of 2020.

Endpoints are thin: they read rows, ask `rights` whether somebody may, and let `service` write.
"""

"""The job server: people, projects, workspaces, requests on many backends, data catalogue, releases and pages.

It reaches a controller only through `carrel.clients.RapClient`; what a person may do is decided in `rights`, and rows
change only through `service`, each change with its line in the audit log.
"""

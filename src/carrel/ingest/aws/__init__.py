"""Ingest on AWS: the Lambda that takes archives as they arrive, and the artifacts a deployment is made of."""

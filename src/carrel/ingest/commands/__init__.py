"""The sub-commands of `carrel ingest`: thin, over `carrel.ingest.run`."""

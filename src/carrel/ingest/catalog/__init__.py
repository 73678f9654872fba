"""The schema of each dataset version, kept beside its tables."""

from carrel.ingest.catalog.entries import load, load_all

__all__ = ["load", "load_all"]

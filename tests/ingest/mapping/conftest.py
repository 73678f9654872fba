"""Fixtures of tests that need schema stores."""

from tests.support.ingest_schemas import library_of, record, whole_library

__all__ = ["library_of", "record", "whole_library"]

"""Does a file keep to its schema, but for what is forgiven?"""

from typing import Any

from carrel.ingest.mapping.model import Mapping
from carrel.ingest.schemas.library import Library
from carrel.ingest.values import Fault, Record, Resolution

MAX_FAULTS = 100


class Checker:
    """Compiles a schema when it is first needed; `$ref`s are followed in the library, never over the network."""

    def __init__(self, mapping: Mapping, library: Library, max_faults: int = MAX_FAULTS):
        self.mapping = mapping
        self.library = library
        self.max_faults = max_faults

    def check(self, value: Any, resolution: Resolution, record: Record, path: str, first: int = 0) -> tuple[Fault, ...]:
        """Every error that no rule forgives, at most `max_faults`; () when the file is good or not validated.

        `value` may be a block of the elements of a top-level array, from element `first` on, when `blockwise`.
        """
        raise NotImplementedError

    def blockwise(self, schema_id: str) -> bool:
        """Is checking a top-level array block by block the same as checking it whole?"""
        raise NotImplementedError

"""Does a file keep to its schema, but for what is forgiven?"""

from collections.abc import Sequence
from itertools import islice
from typing import Any

from carrel.ingest.mapping.model import ForgivenessRule, Mapping
from carrel.ingest.schemas.compiler import SchemaUnusable, compile_schema
from carrel.ingest.schemas.errors import violations_of
from carrel.ingest.schemas.forgiveness import forgives, rules_for
from carrel.ingest.schemas.library import Library
from carrel.ingest.schemas.references import own_id
from carrel.ingest.schemas.relaxation import SPOKEN, relax
from carrel.ingest.values import Fault, Record, Resolution

MAX_FAULTS = 100
_ELEMENTWISE = SPOKEN | {"type", "items"}


class Checker:
    """Compiles a schema when it is first needed; `$ref`s are followed in the library, never over the network."""

    def __init__(self, mapping: Mapping, library: Library, max_faults: int = MAX_FAULTS):
        self.mapping = mapping
        self.library = library
        self.max_faults = max_faults
        self._compiled: dict[tuple[str, tuple[str, ...]], Any] = {}

    def check(self, value: Any, resolution: Resolution, record: Record, path: str, first: int = 0) -> tuple[Fault, ...]:
        """Every error that no rule forgives, at most `max_faults`; () when the file is good or not validated.

        `value` may be a block of the elements of a top-level array, from element `first` on, when `blockwise`.
        """
        if resolution.fault is not None:
            return (resolution.fault,)
        if resolution.schema_hash is None or resolution.schema_id is None:
            return ()
        try:
            return self._check(value, resolution.schema_id, record, path, first)
        except SchemaUnusable as error:
            return (Fault("schema", "schema_unusable", str(error)),)

    def blockwise(self, schema_id: str) -> bool:
        """Is checking a top-level array block by block the same as checking it whole?"""
        schema = self.library.document(schema_id)
        return (
            isinstance(schema, dict)
            and schema.get("type") == "array"
            and not set(schema) - _ELEMENTWISE
            and isinstance(schema.get("items", {}), (dict, bool))
        )

    def _check(self, value: Any, uri: str, record: Record, path: str, first: int) -> tuple[Fault, ...]:
        validator = self._compile(uri)
        if validator.is_valid(value):
            return ()
        identifier = own_id(self.library.document(uri))
        rules = rules_for(self.mapping, record, path, (uri,) if identifier is None else (uri, identifier))
        if rules and self._compile(uri, rules).is_valid(value):
            return ()
        violations = (violation for error in validator.iter_errors(value) for violation in violations_of(error, first))
        unforgiven = (
            violation.fault() for violation in violations if not any(forgives(rule, violation) for _, rule in rules)
        )
        return tuple(islice(unforgiven, self.max_faults))

    def _compile(self, uri: str, rules: Sequence[tuple[str, ForgivenessRule]] = ()) -> Any:
        """The validator of a schema with these rules (by name) written into it; compiled when first asked for."""
        key = (uri, tuple(name for name, _ in rules))
        if key not in self._compiled:
            document = self.library.document(uri)
            if rules:
                relaxed = relax(document, uri, [rule for _, rule in rules], self.library)
                self._compiled[key] = compile_schema(relaxed, f"{uri}?relaxed", self.library)
            else:
                self._compiled[key] = compile_schema(document, uri, self.library)
        return self._compiled[key]

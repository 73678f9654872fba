"""Compiling schemas of the library with jsonschema-rs: offline, the draft by `$schema`, formats not asserted."""

from typing import Any

import jsonschema_rs

from carrel.ingest.schemas.library import Library
from carrel.ingest.schemas.references import all_references, base_of, spell_out, without_relative_id


class SchemaUnusable(Exception):
    """The schema, or one that it refers to, cannot be used; the message is about schemas alone, never about data."""


def compile_schema(document: Any, uri: str, library: Library) -> Any:
    """A jsonschema-rs validator. Raises SchemaUnusable."""
    missing = next((each for each in all_references(document, uri, library) if each not in library), None)
    if missing is not None:
        raise SchemaUnusable(f"the schema refers to {missing}, which is not in the store: add it, then replay")
    try:
        return jsonschema_rs.validator_for(
            spell_out(without_relative_id(document)),
            retriever=lambda wanted: spell_out(without_relative_id(library.document(wanted))),
            base_uri=base_of(document, uri),
            validate_formats=False,
        )
    except (ValueError, RecursionError, jsonschema_rs.ReferencingError) as error:
        raise SchemaUnusable(f"the schema cannot be compiled: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]

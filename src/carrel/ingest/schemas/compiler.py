"""Compiling schemas of the library with jsonschema-rs: offline, the draft by `$schema`, formats not asserted."""

from typing import Any

import jsonschema_rs

from carrel.ingest.schemas.library import Library
from carrel.ingest.schemas.references import all_references, base_of, spell_out, without_relative_id


class SchemaUnusable(Exception):
    """The schema, or one that it refers to, cannot be used; the message is about schemas alone, never about data."""


def compile_schema(document: Any, uri: str, library: Library) -> Any:
    """A jsonschema-rs validator. Raises SchemaUnusable."""
    references = all_references(document, uri, library)
    missing = next((reference for reference in references if reference not in library), None)
    if missing is not None:
        raise SchemaUnusable(f"the schema refers to {missing}, which is not in the store: add it, then replay")
    try:
        return jsonschema_rs.validator_for(
            spell_out(without_relative_id(document)),
            retriever=lambda reference: spell_out(without_relative_id(library.document(reference))),
            base_uri=base_of(document, uri),
            validate_formats=False,
        )
    except (ValueError, RecursionError, jsonschema_rs.ReferencingError) as error:
        first_line = str(error).strip().partition("\n")[0][:300]
        raise SchemaUnusable(f"the schema cannot be compiled: {first_line}") from None

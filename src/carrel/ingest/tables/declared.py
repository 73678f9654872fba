"""What a JSON Schema says about types: path -> kind per table."""

from collections.abc import Mapping
from typing import Any

from carrel.ingest.tables.schema import Declared


def declared_of(dataset: str, schema: Mapping[str, Any], documents: Mapping[str, Any] | None = None) -> Declared:
    """Kinds that `schema` (draft-07) declares for the tables of `dataset`. `$ref`s are followed within the document
    and into `documents` (by `$id`, relative ones resolved); what cannot be resolved declares nothing."""
    raise NotImplementedError


def merged(*declarations: Declared) -> Declared:
    """Several declarations of one dataset version (schemas of several app versions) as one."""
    raise NotImplementedError

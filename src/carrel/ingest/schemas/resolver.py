"""Which dataset and schema a file of a record has: ingest.md section 1.3, steps 3a to 3d, 4 (legacy) and 5.

In this order, the first that knows the file: the archive's own metadata.json, the legacy mapping, the archive map.
A legacy record is never validated.
"""

from collections.abc import Mapping as AbstractMapping
from typing import Any

from carrel.ingest.archives.faults import has_utf8
from carrel.ingest.mapping.model import Mapping, base_name
from carrel.ingest.schemas.archive_map import ArchiveMapIndex, SchemaReference
from carrel.ingest.schemas.library import Library
from carrel.ingest.schemas.references import own_id
from carrel.ingest.values import Fault, Record, Resolution
from carrel.units.limits import MAX_URI_CHARACTERS

_NO_ARCHIVE_MAP = Fault(
    "schema",
    "archive_map_missing",
    "the store has no archive map: run `carrel ingest schemas pull`, then replay",
)

_NO_REFERENCE = Fault(
    "schema",
    "reference",
    f"the archive's own metadata.json names its schema by a text that is no URI: it holds half of a surrogate pair, or "
    f"is longer than {MAX_URI_CHARACTERS} characters",
)


def described_schemas(metadata: Any) -> dict[str, str]:
    """file name -> URL of its schema, as the root `metadata.json` of an archive (its JSON value) says; never raises."""
    files = metadata.get("files") if isinstance(metadata, dict) else None
    entries = [entry for entry in files if isinstance(entry, dict)] if isinstance(files, list) else []
    pairs = [(entry.get("filename"), entry.get("jsonSchema")) for entry in entries]
    return {name: url for name, url in pairs if isinstance(name, str) and isinstance(url, str) and name and url}


class Resolver:
    """Looks up by the mapping, the archive map and the schemas of the library."""

    def __init__(self, mapping: Mapping, library: Library):
        self.mapping = mapping
        self.library = library
        document = library.archive_map()
        self._archive_map = ArchiveMapIndex(document) if document is not None else None

    def resolve(self, record: Record, path: str, schema_urls: AbstractMapping[str, str] | None = None) -> Resolution:
        """What the entry `path` of the record's archive is. `schema_urls`: `described_schemas` of its metadata.json.

        `fault` set: quarantine the file. Else `dataset` None: skip it (`reason` for the ledger). Else `schema_hash`
        None: legacy, not validated. Else: check it.
        """
        legacy = None
        if record.assessment_id is not None and record.assessment_revision is not None:
            legacy = self.mapping.legacy.get(record.assessment_id, {}).get(record.assessment_revision)
        name = self.mapping.plain_name(path)
        schema_urls = schema_urls or {}
        for key in (path, base_name(path), name):
            if key in schema_urls:
                own = SchemaReference(schema_urls[key], "the archive's own metadata.json")
                return self._by_schema(own, legacy is not None)
        if legacy and name in legacy:
            return Resolution(legacy[name], None, None, "the legacy mapping")
        why_ignored = self.mapping.why_ignored(base_name(path))
        if why_ignored:
            return Resolution(None, None, None, f"ignored by the mapping: {why_ignored}")
        reference = None
        if self._archive_map is not None:
            app = self.mapping.app_of(record)
            reference = self._archive_map.find(name, app, record.assessment_id, record.assessment_revision)
        elif self.mapping.archive_map is not None:
            return Resolution(None, None, None, "the store has no archive map", _NO_ARCHIVE_MAP)
        if reference is None:
            return Resolution(None, None, None, "neither the archive nor the archive map names a schema for it")
        return self._by_schema(reference, legacy is not None)

    def schemas_of(self, dataset: str) -> tuple[str, ...]:
        """URIs of the store's schemas whose files go to `dataset`, sorted: what declares its types."""
        return tuple(sorted(uri for uri in self.library.hashes if self.dataset_of(uri) == dataset))

    def dataset_of(self, uri: str) -> str | None:
        """The dataset of files of this schema of the store: by its `$id`, else by the URI that it is known by."""
        identifier = own_id(self.library.document(uri))
        by_id = self.mapping.schemas.get(identifier) if identifier is not None else None
        return by_id or self.mapping.schemas.get(uri)

    def _by_schema(self, reference: SchemaReference, is_legacy: bool) -> Resolution:
        url, where = reference.url, reference.where
        if len(url) > MAX_URI_CHARACTERS or not has_utf8(url):
            return Resolution(None, None, None, where, _NO_REFERENCE)
        if url not in self.library:
            return self._by_missing_schema(reference, is_legacy)
        dataset = self.dataset_of(url)
        if dataset is None:
            return Resolution(None, url, None, f"schema from {where}; the mapping has no dataset for it")
        if is_legacy:
            return Resolution(dataset, url, None, f"{where} (legacy: not validated)")
        return Resolution(dataset, url, self.library.hash_of(url), where)

    def _by_missing_schema(self, reference: SchemaReference, is_legacy: bool) -> Resolution:
        """Without its document the `$id` is unknown, and with it, but for a URL that is mapped, the dataset."""
        url, where = reference.url, reference.where
        dataset = self.mapping.schemas.get(url)
        if is_legacy and dataset:
            return Resolution(dataset, url, None, f"{where} (legacy: not validated)")
        message = (
            "its schema is not in the store: run `carrel ingest schemas pull`, or "
            "`carrel ingest schemas add --url URL FILE` with the URL of schema_id, then replay"
        )
        return Resolution(dataset, url, None, where, Fault("schema", "schema_missing", message))

"""What is wrong with a mapping, seen together with the schema store and the tables; `carrel ingest check`.

| code | severity | what |
|---|---|---|
| archive_map_missing | error | the store has no archive map |
| schema_missing | error | the archive map names a schema that is not in the store: such files go to quarantine |
| schema_unusable | error | a mapped schema cannot be compiled: such files go to quarantine |
| collision | error | two datasets whose tables would have one name |
| unmapped_schema | warning | the archive map names a schema that has no dataset: such files are skipped |
| partitions_changed | error | the mapping partitions a dataset in another way than its tables are: no run begins |
| fine_partitions | warning | tables are partitioned by day: a file for each run, table and day |
| mapped_twice | warning | one file has two schemas; the later one wins |
| never_built | warning | a dataset that no legacy file and no schema of the store leads to |
| unused_options | warning | options of a dataset that nothing leads to |
| contradiction | warning | two schemas of one dataset, or a schema and the tables, say different types |
| unsatisfiable | warning | no file can keep to the schema, unless errors are forgiven |
| bridge_name_taken | warning | a table of a dataset with `naming: bridge` has a name there that is another's: no view |
| one_file_name | note | files of one assessment that BridgeDownstream has in one raw JSON file, Carrel in several |
| unmapped_file | note | the archive map names the file without a schema, and the mapping does not ignore it |
| never_matches | warning or note | an alias, ignored glob, legacy file or rule that nothing can match |
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from carrel.ingest.mapping.model import ForgivenessRule, Mapping
from carrel.ingest.mapping.partitioning import Partitioned, partition_conflicts
from carrel.ingest.schemas.archive_map import ArchiveMapDocument
from carrel.ingest.schemas.compiler import SchemaUnusable, compile_schema
from carrel.ingest.schemas.library import Library
from carrel.ingest.schemas.references import all_references, base_of, own_id, without_relative_id
from carrel.ingest.schemas.resolver import Resolver
from carrel.ingest.uris import plain_uri

if TYPE_CHECKING:
    from carrel.ingest.tables.schema import DatasetSchema

Severity = Literal["error", "warning", "note"]
_ORDER = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class MappingFinding:
    """One thing to look at. `where`: the key of the mapping, or the place in the archive map, it is about."""

    severity: Severity
    code: str
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.message} ({self.code})"


def check_mapping(
    mapping: Mapping,
    library: Library,
    built: "AbstractMapping[str, DatasetSchema] | None" = None,
    partitioned: Partitioned | None = None,
) -> list[MappingFinding]:
    """Every finding, errors first. `built`: dataset -> its schema in the catalog; `partitioned`: and its
    partition columns."""
    archive_map = library.archive_map() or ArchiveMapDocument(assessments=())
    subject = _Subject(mapping, library, archive_map, built or {}, partitioned or {})
    findings = dict.fromkeys(finding for check in _CHECKS for finding in check(subject))
    return sorted(findings, key=lambda finding: (_ORDER.index(finding.severity), finding.code, finding.where))


@dataclass(frozen=True)
class _Subject:
    """All that a mapping is checked against."""

    mapping: Mapping
    library: Library
    archive_map: ArchiveMapDocument
    built: "AbstractMapping[str, DatasetSchema]"
    partitioned: Partitioned

    @cached_property
    def resolver(self) -> Resolver:
        return Resolver(self.mapping, self.library)

    @cached_property
    def mapped(self) -> list[str]:
        """URIs of the store's schemas that have a dataset, one for each document."""
        hashes = self.library.hashes
        by_hash = {hashes[uri]: uri for uri in sorted(hashes) if self.resolver.dataset_of(uri)}
        return sorted(by_hash.values())


def _check_archive_map(subject: _Subject) -> Iterator[MappingFinding]:
    if subject.library.archive_map_hash is None and subject.mapping.archive_map is not None:
        message = "the store has no archive map: run `carrel ingest schemas pull`"
        yield MappingFinding("error", "archive_map_missing", "archive_map", message)
    for section, file in subject.archive_map.all_files():
        where, url = f"{section}: {file.filename}", file.jsonSchema
        if url is None:
            if subject.mapping.why_ignored(file.filename) is None:
                yield MappingFinding("note", "unmapped_file", where, "it has no schema: such files are skipped")
        elif url not in subject.library:
            message = f"{url} is not in the store: such files go to quarantine"
            yield MappingFinding("error", "schema_missing", where, message)
        elif subject.resolver.dataset_of(plain_uri(url)) is None:
            yield MappingFinding("warning", "unmapped_schema", where, f"{url} has no dataset: such files are skipped")


def _check_files_with_two_schemas(subject: _Subject) -> Iterator[MappingFinding]:
    schemas: dict[tuple[str, str], set[str]] = defaultdict(set)
    for section, file in subject.archive_map.all_files():
        if file.jsonSchema:
            # An app's defaults and its files of any assessment are looked up together.
            schemas[section.removesuffix(" default").removesuffix(" anyOf"), file.filename].add(file.jsonSchema)
    for (section, name), urls in sorted(schemas.items()):
        if len(urls) > 1:
            yield MappingFinding(
                "warning", "mapped_twice", f"{section}: {name}", f"it has {len(urls)} schemas; one wins"
            )


def _check_names_that_never_match(subject: _Subject) -> Iterator[MappingFinding]:
    mapping = subject.mapping
    sections = {file.filename: section for section, file in subject.archive_map.all_files() if file.jsonSchema}
    for name, target in mapping.aliases.items():
        if name in sections:
            message = f"the archive map's {sections[name]} names it, and it is looked up as {target}"
            yield MappingFinding("warning", "never_matches", f"aliases.{name}", message)
    for glob in mapping.ignored:
        for name in sections:
            if fnmatchcase(name, glob):
                message = f"it hides {name}, which has a schema in the archive map's {sections[name]}"
                yield MappingFinding("warning", "never_matches", f"ignored.{glob}", message)
    for assessment, revisions in mapping.legacy.items():
        for revision, files in revisions.items():
            for name in files:
                if name in mapping.aliases:
                    where = f"legacy.{assessment}.{revision}.{name}"
                    message = f"it is looked up as {mapping.aliases[name]}: write that name"
                    yield MappingFinding("warning", "never_matches", where, message)


def _check_datasets(subject: _Subject) -> Iterator[MappingFinding]:
    mapping = subject.mapping
    legacy = {name for by in mapping.legacy.values() for files in by.values() for name in files.values()}
    reached = legacy | {subject.resolver.dataset_of(uri) for uri in subject.mapped}
    for schema, dataset in mapping.schemas.items():
        if dataset not in reached:
            message = f"no schema of the store has the $id or URL {schema}: {dataset} is mapped but never built"
            yield MappingFinding("warning", "never_built", f"schemas.{schema}", message)
    for dataset in mapping.datasets:
        if dataset not in mapping.named_datasets():
            message = "no schema and no legacy file leads to it"
            yield MappingFinding("warning", "unused_options", f"datasets.{dataset}", message)


def _check_collisions(subject: _Subject) -> Iterator[MappingFinding]:
    datasets = sorted(subject.mapping.named_datasets())
    for number, dataset in enumerate(datasets):
        for rival in datasets[number + 1 :]:
            if dataset.lower() == rival.lower():
                message = f"{dataset} and {rival} differ by case alone: their tables would collide"
                yield MappingFinding("error", "collision", f"datasets {dataset}", message)
            elif rival.lower().startswith(f"{dataset.lower()}__"):
                message = f"a child table of it may be named {rival}"
                yield MappingFinding("error", "collision", f"datasets {dataset}", message)


def _check_bridge_names(subject: _Subject) -> Iterator[MappingFinding]:
    """The contract's raw JSON has one file for each record and dataset: who reads it may look for that name."""
    names: dict[tuple[str, str], list[str]] = defaultdict(list)
    for section, file in subject.archive_map.all_files():
        in_store = file.jsonSchema and file.jsonSchema in subject.library
        dataset = subject.resolver.dataset_of(str(file.jsonSchema)) if in_store else None
        if dataset and subject.mapping.options(dataset).naming == "bridge":
            names[section, dataset].append(file.filename)
    for (section, dataset), filenames in names.items():
        if len(filenames) > 1:
            message = (
                f"{', '.join(filenames)} all go to {dataset}: raw JSON has a file for each, with its name in the "
                "file's (BridgeDownstream keeps the last one under the record's name)"
            )
            yield MappingFinding("note", "one_file_name", section, message)


def _check_bridge_views(subject: _Subject) -> Iterator[MappingFinding]:
    """A native name wins over the contract's, and of two tables of one name there the first."""
    from carrel.ingest.tables.bridge_views import names_there
    from carrel.ingest.tables.schema import DatasetSchema

    datasets = sorted(subject.mapping.named_datasets() | set(subject.built))
    schemas = {dataset: subject.built.get(dataset) or DatasetSchema(dataset) for dataset in datasets}
    owners = {name.casefold(): name for schema in schemas.values() for name in (schema.dataset, *schema.tables)}
    for dataset, schema in schemas.items():
        bridge_names = names_there(schema) if subject.mapping.options(dataset).naming == "bridge" else {}
        for table, name in bridge_names.items():
            if (owner := owners.setdefault(name.casefold(), table)) != table:
                message = f"{table} would be {name} there, which is {owner}: it has its native name alone"
                yield MappingFinding("warning", "bridge_name_taken", f"datasets.{dataset}.naming", message)


def _check_schemas(subject: _Subject) -> Iterator[MappingFinding]:
    for uri in subject.mapped:
        try:
            compile_schema(subject.library.document(uri), uri, subject.library)
        except SchemaUnusable as error:
            yield MappingFinding("error", "schema_unusable", uri, str(error))
            continue
        if _is_unsatisfiable(subject.library, uri):
            message = "no file can keep to it: it asks for what it forbids; forgive the error, or use another schema"
            yield MappingFinding("warning", "unsatisfiable", uri, message)


def _is_unsatisfiable(library: Library, uri: str) -> bool:
    """Whether no value keeps to the schema, and that is sure."""
    import jsonschema_rs

    document = library.document(uri)
    try:
        canonical = jsonschema_rs.canonicalize(
            without_relative_id(document),
            retriever=lambda reference: without_relative_id(library.document(reference)),
            base_uri=base_of(document, uri),
        )
        return bool(canonical.satisfiability() == jsonschema_rs.canonical.Satisfiability.NO)
    except (ValueError, KeyError, RecursionError, jsonschema_rs.ReferencingError):
        return False


def _check_contradictions(subject: _Subject) -> Iterator[MappingFinding]:
    datasets = {dataset for uri in subject.mapped if (dataset := subject.resolver.dataset_of(uri))}
    for dataset in sorted(datasets):
        first: dict[tuple[str, tuple[str, ...]], tuple[str, str]] = {}
        for uri, table, path, kind in _declared_kinds(subject, dataset):
            first_kind, first_uri = first.setdefault((table, path), (kind, uri))
            if not _agree(first_kind, kind):
                message = f"{'/'.join(path)} is {first_kind} in {first_uri} and {kind} in {uri}"
                yield MappingFinding("warning", "contradiction", table, message)
            yield from _check_against_tables(subject, dataset, table, path, kind)


def _declared_kinds(subject: _Subject, dataset: str) -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """Schema, table, path and kind of everything that the dataset's schemas declare."""
    from carrel.ingest.tables.declared_kinds import declared_kinds

    registry = subject.library.registry()
    for uri in subject.mapped:
        if subject.resolver.dataset_of(uri) == dataset:
            for table, paths in declared_kinds(dataset, subject.library.document(uri), registry).items():
                for path, kind in paths.items():
                    yield uri, table, tuple(path), kind


def _check_against_tables(
    subject: _Subject, dataset: str, table: str, path: tuple[str, ...], kind: str
) -> Iterator[MappingFinding]:
    schema = subject.built.get(dataset)
    columns = schema.table(table).columns if schema else ()
    for column in columns:
        if column.field.path == path and not column.field.role and not _agree(kind, column.kind):
            message = f"{'/'.join(path)} is {kind} in the schema, and column {column.name} is {column.kind}"
            yield MappingFinding("warning", "contradiction", table, message)


def _agree(kind: str, second: str) -> bool:
    """Whether two kinds are one, or both numbers, which widen."""
    return kind == second or {kind, second} <= {"int64", "float64", "decimal"}


def _check_partitions(subject: _Subject) -> Iterator[MappingFinding]:
    for conflict in partition_conflicts(subject.mapping, subject.partitioned):
        yield MappingFinding("error", "partitions_changed", "partition_by", conflict)
    for dataset in sorted(subject.mapping.named_datasets()):
        if "day" in subject.mapping.options(dataset).partition_by:
            message = (
                "partitions of a day make a file for each run, table and day, and many small files are slow to read: "
                "partition by year and month at most, unless there are millions of rows a day"
            )
            yield MappingFinding("warning", "fine_partitions", f"datasets.{dataset}.partition_by", message)


def _check_rules(subject: _Subject) -> Iterator[MappingFinding]:
    for name, rule in subject.mapping.forgive.items():
        if rule.schema_id is not None and not _schemas_named(subject.library, rule.schema_id):
            message = f"{rule.schema_id} is not in the store"
            yield MappingFinding("warning", "never_matches", f"forgive.{name}", message)
            continue
        candidates = _candidates(subject, rule)
        if candidates and not any(_can_break(subject.library, uri, rule) for uri in candidates):
            message = f"no schema that such files have can report {rule.keyword}" + (
                f" of {rule.property}" if rule.property else ""
            )
            yield MappingFinding("note", "never_matches", f"forgive.{name}", message)


def _schemas_named(library: Library, schema_id: str) -> list[str]:
    """URIs of the store's schemas that have this URI or `$id`."""
    return [uri for uri in library.hashes if schema_id in (uri, own_id(library.document(uri)))]


def _candidates(subject: _Subject, rule: ForgivenessRule) -> list[str]:
    """Schemas in the store that files of the rule have by the archive map; none when that cannot be known."""
    if rule.schema_id is not None:
        return _schemas_named(subject.library, rule.schema_id)
    urls = {
        plain_uri(file.jsonSchema)
        for _, file in subject.archive_map.all_files()
        if file.jsonSchema and (rule.file is None or fnmatchcase(file.filename, rule.file))
    }
    return sorted(urls) if all(url in subject.library for url in urls) else []


def _can_break(library: Library, uri: str, rule: ForgivenessRule) -> bool:
    """Whether the schema, or one that it refers to, has what the rule forgives."""
    document = library.document(uri)
    referenced = [library.document(target) for target in all_references(document, uri, library) if target in library]
    return any(_has_keyword(schema, rule) for schema in (document, *referenced))


def _has_keyword(schema: Any, rule: ForgivenessRule) -> bool:
    if isinstance(schema, list):
        return any(_has_keyword(element, rule) for element in schema)
    if not isinstance(schema, dict):
        return False
    value = schema.get(rule.keyword)
    if rule.keyword == "required" and rule.property is not None:
        here = isinstance(value, list) and rule.property in value
    else:
        here = rule.keyword in schema
    return here or any(_has_keyword(member, rule) for member in schema.values())


_CHECKS: tuple[Callable[[_Subject], Iterator[MappingFinding]], ...] = (
    _check_archive_map,
    _check_files_with_two_schemas,
    _check_names_that_never_match,
    _check_datasets,
    _check_collisions,
    _check_bridge_names,
    _check_bridge_views,
    _check_schemas,
    _check_contradictions,
    _check_partitions,
    _check_rules,
)

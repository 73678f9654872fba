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
from typing import TYPE_CHECKING, Any, Literal

from carrel.ingest.mapping.model import ForgivenessRule, Mapping
from carrel.ingest.mapping.partitioning import Partitioned, partition_conflicts
from carrel.ingest.schemas.archive_map import ArchiveMapDocument
from carrel.ingest.schemas.compiling import SchemaUnusable, compile_schema
from carrel.ingest.schemas.library import Library, plain_uri
from carrel.ingest.schemas.references import all_references, base_of, without_relative_id

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


def check(
    mapping: Mapping,
    library: Library,
    built: "AbstractMapping[str, DatasetSchema] | None" = None,
    partitioned: Partitioned | None = None,
) -> list[MappingFinding]:
    """Everything found, errors first. `built`: dataset -> its schema in the catalog; `partitioned`: and its
    partition columns."""
    archive_map = library.archive_map() or ArchiveMapDocument(assessments=())
    view = _View(mapping, library, archive_map, built or {}, partitioned or {})
    found = [finding for look in _LOOKS for finding in look(view)]
    return sorted(dict.fromkeys(found), key=lambda each: (_ORDER.index(each.severity), each.code, each.where))


@dataclass(frozen=True)
class _View:
    mapping: Mapping
    library: Library
    archive_map: ArchiveMapDocument
    built: "AbstractMapping[str, DatasetSchema]"
    partitioned: Partitioned

    def dataset_of(self, url: str) -> str | None:
        document = self.library.document(url)
        own = document.get("$id") if isinstance(document, dict) else None
        return self.mapping.schemas.get(str(own)) or self.mapping.schemas.get(url)

    def mapped(self) -> list[str]:
        """URIs of the store's schemas that have a dataset, one for each document."""
        by_hash = {self.library.hashes[uri]: uri for uri in sorted(self.library.hashes) if self.dataset_of(uri)}
        return sorted(by_hash.values())

    def schemas_of(self, dataset: str) -> tuple[str, ...]:
        return tuple(uri for uri in self.mapped() if self.dataset_of(uri) == dataset)


def _archive_map(view: _View) -> Iterator[MappingFinding]:
    if view.library.archive_map_hash is None and view.mapping.archive_map is not None:
        message = "the store has no archive map: run `carrel ingest schemas pull`"
        yield MappingFinding("error", "archive_map_missing", "archive_map", message)
    for place, file in view.archive_map.all_files():
        yield from _file(view, f"{place}: {file.filename}", file.filename, file.jsonSchema)


def _file(view: _View, where: str, name: str, url: str | None) -> Iterator[MappingFinding]:
    if url is None:
        if view.mapping.why_ignored(name) is None:
            yield MappingFinding("note", "unmapped_file", where, "it has no schema: such files are skipped")
    elif url not in view.library:
        yield MappingFinding(
            "error", "schema_missing", where, f"{url} is not in the store: such files go to quarantine"
        )
    elif view.dataset_of(plain_uri(url)) is None:
        yield MappingFinding("warning", "unmapped_schema", where, f"{url} has no dataset: such files are skipped")


def _twice(view: _View) -> Iterator[MappingFinding]:
    schemas: dict[tuple[str, str], set[str]] = defaultdict(set)
    for place, file in view.archive_map.all_files():
        if file.jsonSchema:
            # An app's defaults and its files of any assessment are looked up together.
            schemas[place.removesuffix(" default").removesuffix(" anyOf"), file.filename].add(file.jsonSchema)
    for (place, name), urls in sorted(schemas.items()):
        if len(urls) > 1:
            yield MappingFinding("warning", "mapped_twice", f"{place}: {name}", f"it has {len(urls)} schemas; one wins")


def _names_that_never_match(view: _View) -> Iterator[MappingFinding]:
    mapping = view.mapping
    known = {file.filename: place for place, file in view.archive_map.all_files() if file.jsonSchema}
    for name, target in mapping.aliases.items():
        if name in known:
            message = f"the archive map's {known[name]} names it, and it is looked up as {target}"
            yield MappingFinding("warning", "never_matches", f"aliases.{name}", message)
    for glob in mapping.ignored:
        for name in (each for each in known if fnmatchcase(each, glob)):
            message = f"it hides {name}, which has a schema in the archive map's {known[name]}"
            yield MappingFinding("warning", "never_matches", f"ignored.{glob}", message)
    for assessment, revisions in mapping.legacy.items():
        for revision, files in revisions.items():
            for name in (each for each in files if each in mapping.aliases):
                where = f"legacy.{assessment}.{revision}.{name}"
                message = f"it is looked up as {mapping.aliases[name]}: write that name"
                yield MappingFinding("warning", "never_matches", where, message)


def _datasets(view: _View) -> Iterator[MappingFinding]:
    mapping = view.mapping
    legacy = {name for by in mapping.legacy.values() for files in by.values() for name in files.values()}
    reached = legacy | {view.dataset_of(uri) for uri in view.mapped()}
    for schema, dataset in mapping.schemas.items():
        if dataset not in reached:
            message = f"no schema of the store has the $id or URL {schema}: {dataset} is mapped but never built"
            yield MappingFinding("warning", "never_built", f"schemas.{schema}", message)
    for dataset in mapping.datasets:
        if dataset not in mapping.named_datasets():
            yield MappingFinding(
                "warning", "unused_options", f"datasets.{dataset}", "no schema and no legacy file leads to it"
            )


def _collisions(view: _View) -> Iterator[MappingFinding]:
    datasets = sorted(view.mapping.named_datasets())
    for number, one in enumerate(datasets):
        for other in datasets[number + 1 :]:
            if one.lower() == other.lower():
                message = f"{one} and {other} differ by case alone: their tables would collide"
                yield MappingFinding("error", "collision", f"datasets {one}", message)
            elif other.lower().startswith(f"{one.lower()}__"):
                yield MappingFinding(
                    "error", "collision", f"datasets {one}", f"a child table of it may be named {other}"
                )


def _bridge_names(view: _View) -> Iterator[MappingFinding]:
    """The contract's raw JSON has one file for each record and dataset: who reads it may look for that name."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for place, file in view.archive_map.all_files():
        dataset = view.dataset_of(file.jsonSchema) if file.jsonSchema and file.jsonSchema in view.library else None
        if dataset and view.mapping.options(dataset).naming == "bridge":
            found[place, dataset].append(file.filename)
    for (place, dataset), names in found.items():
        if len(names) > 1:
            message = (
                f"{', '.join(names)} all go to {dataset}: raw JSON has a file for each, with its name in the file's "
                "(BridgeDownstream keeps the last one under the record's name)"
            )
            yield MappingFinding("note", "one_file_name", place, message)


def _bridge_views(view: _View) -> Iterator[MappingFinding]:
    """A native name wins over the contract's, and of two tables of one name there the first."""
    from carrel.ingest.tables.bridge_views import names_there
    from carrel.ingest.tables.schema import DatasetSchema

    datasets = sorted(view.mapping.named_datasets() | set(view.built))
    schemas = {dataset: view.built.get(dataset) or DatasetSchema(dataset) for dataset in datasets}
    owners = {name.casefold(): name for schema in schemas.values() for name in (schema.dataset, *schema.tables)}
    for dataset, schema in schemas.items():
        there = names_there(schema) if view.mapping.options(dataset).naming == "bridge" else {}
        for table, name in there.items():
            if (owner := owners.setdefault(name.casefold(), table)) != table:
                message = f"{table} would be {name} there, which is {owner}: it has its native name alone"
                yield MappingFinding("warning", "bridge_name_taken", f"datasets.{dataset}.naming", message)


def _schemas(view: _View) -> Iterator[MappingFinding]:
    for uri in view.mapped():
        try:
            compile_schema(view.library.document(uri), uri, view.library)
        except SchemaUnusable as error:
            yield MappingFinding("error", "schema_unusable", uri, str(error))
            continue
        if _unsatisfiable(view.library, uri):
            message = "no file can keep to it: it asks for what it forbids; forgive the error, or use another schema"
            yield MappingFinding("warning", "unsatisfiable", uri, message)


def _unsatisfiable(library: Library, uri: str) -> bool:
    """Only when it is sure."""
    import jsonschema_rs

    document = library.document(uri)
    try:
        canonical = jsonschema_rs.canonicalize(
            without_relative_id(document),
            retriever=lambda wanted: without_relative_id(library.document(wanted)),
            base_uri=base_of(document, uri),
        )
        return bool(canonical.satisfiability() == jsonschema_rs.canonical.Satisfiability.NO)
    except (ValueError, KeyError, RecursionError, jsonschema_rs.ReferencingError):
        return False


def _contradictions(view: _View) -> Iterator[MappingFinding]:
    for dataset in sorted({dataset for uri in view.mapped() if (dataset := view.dataset_of(uri))}):
        seen: dict[tuple[str, tuple[str, ...]], tuple[str, str]] = {}
        for uri, table, path, kind in _declared(view, dataset):
            before, by = seen.setdefault((table, path), (kind, uri))
            if not _agree(before, kind):
                message = f"{'/'.join(path)} is {before} in {by} and {kind} in {uri}"
                yield MappingFinding("warning", "contradiction", table, message)
            yield from _against_tables(view, dataset, table, path, kind)


def _partitions(view: _View) -> Iterator[MappingFinding]:
    for problem in partition_conflicts(view.mapping, view.partitioned):
        yield MappingFinding("error", "partitions_changed", "partition_by", problem)
    for dataset in sorted(view.mapping.named_datasets()):
        if "day" in view.mapping.options(dataset).partition_by:
            message = (
                "partitions of a day make a file for each run, table and day, and many small files are slow to read: "
                "partition by year and month at most, unless there are millions of rows a day"
            )
            yield MappingFinding("warning", "fine_partitions", f"datasets.{dataset}.partition_by", message)


def _against_tables(
    view: _View, dataset: str, table: str, path: tuple[str, ...], kind: str
) -> Iterator[MappingFinding]:
    schema = view.built.get(dataset)
    columns = schema.table(table).columns if schema else ()
    for column in columns:
        if column.field.path == path and not column.field.role and not _agree(kind, column.kind):
            message = f"{'/'.join(path)} is {kind} in the schema, and column {column.name} is {column.kind}"
            yield MappingFinding("warning", "contradiction", table, message)


def _agree(one: str, other: str) -> bool:
    """Numbers widen."""
    return one == other or {one, other} <= {"int64", "float64", "decimal"}


def _declared(view: _View, dataset: str) -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    from carrel.ingest.tables.declared import declared_kinds

    registry = view.library.registry()
    for uri in view.schemas_of(dataset):
        for table, paths in declared_kinds(dataset, view.library.document(uri), registry).items():
            for path, kind in paths.items():
                yield uri, table, tuple(path), kind


def _rules(view: _View) -> Iterator[MappingFinding]:
    for name, rule in view.mapping.forgive.items():
        if rule.schema_id is not None and not _schemas_named(view, rule.schema_id):
            message = f"{rule.schema_id} is not in the store"
            yield MappingFinding("warning", "never_matches", f"forgive.{name}", message)
            continue
        candidates = _candidates(view, rule)
        if candidates and not any(_can_break(view.library, uri, rule) for uri in candidates):
            message = f"no schema that such files have can report {rule.keyword}" + (
                f" of {rule.property}" if rule.property else ""
            )
            yield MappingFinding("note", "never_matches", f"forgive.{name}", message)


def _schemas_named(view: _View, schema_id: str) -> list[str]:
    library = view.library
    return [
        uri
        for uri in library.hashes
        if uri == schema_id
        or (isinstance(library.document(uri), dict) and library.document(uri).get("$id") == schema_id)
    ]


def _candidates(view: _View, rule: ForgivenessRule) -> list[str]:
    """Schemas in the store that files of the rule have by the archive map; none when that cannot be known."""
    if rule.schema_id is not None:
        return _schemas_named(view, rule.schema_id)
    files = [file for _, file in view.archive_map.all_files() if file.jsonSchema]
    wanted = [file for file in files if rule.file is None or fnmatchcase(file.filename, rule.file)]
    urls = {plain_uri(str(file.jsonSchema)) for file in wanted}
    return sorted(urls) if all(url in view.library for url in urls) else []


def _can_break(library: Library, uri: str, rule: ForgivenessRule) -> bool:
    document = library.document(uri)
    others = [library.document(each) for each in all_references(document, uri, library) if each in library]
    return any(_has_keyword(each, rule) for each in (document, *others))


def _has_keyword(schema: Any, rule: ForgivenessRule) -> bool:
    if isinstance(schema, list):
        return any(_has_keyword(each, rule) for each in schema)
    if not isinstance(schema, dict):
        return False
    value = schema.get(rule.keyword)
    if rule.keyword == "required" and rule.property is not None:
        here = isinstance(value, list) and rule.property in value
    else:
        here = rule.keyword in schema
    return here or any(_has_keyword(each, rule) for each in schema.values())


_LOOKS: tuple[Callable[[_View], Iterator[MappingFinding]], ...] = (
    _archive_map,
    _twice,
    _names_that_never_match,
    _datasets,
    _collisions,
    _bridge_names,
    _bridge_views,
    _schemas,
    _contradictions,
    _partitions,
    _rules,
)

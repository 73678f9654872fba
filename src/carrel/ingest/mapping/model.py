"""The mapping file as values: which file of which record belongs to which dataset, and what is forgiven."""

import re
from collections.abc import Mapping as AbstractMapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    StringConstraints,
    field_validator,
    model_validator,
)

from carrel.ingest.mapping.clients import parse_comparisons
from carrel.ingest.values import Policy, Record
from carrel.units.limits import MAX_COLUMNS, MAX_TABLES

DatasetName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_]*_v[1-9][0-9]*$", max_length=80)]
"""Identifier and version, as `MotionRecord_v1`; it names the dataset's root table."""
PolicyName = Annotated[Policy, Field(strict=False)]
"""A policy, by its name in the file."""
Naming = Literal["carrel", "bridge"]
PartitionColumn = Literal["assessmentid", "assessmentrevision", "year", "month", "day"]


def _without_repeats(columns: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if columns and len(set(columns)) < len(columns):
        raise ValueError("a column is named twice")
    return columns


PartitionColumns = Annotated[tuple[PartitionColumn, ...], AfterValidator(_without_repeats)]
FileName = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^/]+$")]
Text = Annotated[str, StringConstraints(min_length=1)]

PROPERTY_KEYWORDS = ("required", "additionalProperties", "unevaluatedProperties")


class _Any:
    """The value of a rule that looks at no value (null is a value)."""

    def __repr__(self) -> str:
        return "any value"

    def __reduce__(self) -> str:
        return "ANY"


ANY = _Any()


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ArchiveMapSource(_Part):
    """Where `carrel ingest schemas pull` takes the archive map from."""

    url: Text
    """http(s) URL, or a path, relative to the mapping file. `{version}` in it is replaced."""
    version: str | None = None
    mirrors: AbstractMapping[Text, str] = Field(default_factory=dict)
    """URL prefix -> prefix (URL or path) to read from instead."""

    @model_validator(mode="after")
    def _has_its_version(self) -> "ArchiveMapSource":
        if "{version}" in self.url and self.version is None:
            raise ValueError("the url has {version} in it, and there is no version")
        return self

    @property
    def location(self) -> str:
        """The url with the version in it."""
        return self.url.replace("{version}", self.version or "")


class ForgivenessRule(_Part):
    """An error of validation that is let pass. Every condition given must hold."""

    because: str = ""
    keyword: Text
    """The JSON Schema keyword that was broken."""
    app: str | None = None
    os: str | None = None
    """Found anywhere in the client information, as `Android`."""
    app_version: str | None = None
    """Comparisons joined by commas, as `>=60,<74`; no version known: the rule does not hold."""
    assessment: str | None = None
    assessment_revision: int | None = None
    file: FileName | None = None
    """Base name, before or after aliases; `*` stands for any letters."""
    schema_id: str | None = Field(default=None, alias="schema")
    """`$id` of the schema."""
    pointer: str | None = None
    """JSON pointer of the offending value; `*` stands for one part, `**` for any number of parts."""
    value: Any = ANY
    """The offending value itself: a string, number, boolean or null."""
    property: str | None = None
    """The key that `required` misses, or that `additionalProperties` did not expect."""
    expected: str | None = None
    """What the schema wanted, of keyword `type`: the type's name."""

    @field_validator("app_version")
    @classmethod
    def _can_be_compared(cls, text: str | None) -> str | None:
        if text is not None:
            parse_comparisons(text)
        return text

    @field_validator("pointer")
    @classmethod
    def _is_a_pointer(cls, text: str | None) -> str | None:
        if text and not text.startswith("/"):
            raise ValueError("a JSON pointer is empty or begins with /")
        return text

    @field_validator("value")
    @classmethod
    def _is_simple(cls, value: Any) -> Any:
        if isinstance(value, (dict, list, tuple)):
            raise ValueError("a value to compare with is a string, number, boolean or null")
        return value

    @model_validator(mode="after")
    def _fits_its_keyword(self) -> "ForgivenessRule":
        if self.property is not None and self.keyword not in PROPERTY_KEYWORDS:
            raise ValueError(f"property goes with the keywords {', '.join(PROPERTY_KEYWORDS)}")
        if self.expected is not None and self.keyword != "type":
            raise ValueError("expected goes with the keyword type")
        return self


class DatasetOptions(_Part):
    """How one dataset is kept; None: as `defaults` says."""

    policy: PolicyName | None = None
    partition_by: PartitionColumns | None = None
    naming: Naming | None = None
    max_columns: PositiveInt | None = None
    max_tables: PositiveInt | None = None
    description: str = ""


class Defaults(_Part):
    """How datasets are kept that say nothing themselves."""

    policy: PolicyName = Policy.EVOLVE
    partition_by: PartitionColumns = ()
    naming: Naming = "carrel"
    max_columns: PositiveInt = MAX_COLUMNS
    max_tables: PositiveInt = MAX_TABLES


class ResolvedOptions(_Part):
    """The settled options of one dataset."""

    policy: Policy
    partition_by: PartitionColumns
    naming: Naming
    max_columns: PositiveInt = MAX_COLUMNS
    """Columns of data in each of its tables."""
    max_tables: PositiveInt = MAX_TABLES
    """The root table and those of its arrays, at every depth."""


class Mapping(_Part):
    """The whole mapping. Immutable and picklable."""

    archive_map: ArchiveMapSource | None = None
    default_app: str | None = None
    """The app of a record whose metadata names none."""
    schemas: AbstractMapping[Text, DatasetName] = Field(default_factory=dict)
    """`$id` (or URL) of a schema -> dataset."""
    legacy: AbstractMapping[Text, AbstractMapping[int, AbstractMapping[FileName, DatasetName]]] = Field(
        default_factory=dict
    )
    """assessment -> revision -> file -> dataset; records of these are not validated."""
    aliases: AbstractMapping[FileName, FileName] = Field(default_factory=dict)
    """base name -> the name it is treated as."""
    ignored: AbstractMapping[FileName, str] = Field(default_factory=dict)
    """Glob of base names that nobody wants -> why; such files are skipped, unless they name their own schema."""
    forgive: AbstractMapping[Text, ForgivenessRule] = Field(default_factory=dict)
    """name -> rule"""
    defaults: Defaults = Defaults()
    datasets: AbstractMapping[DatasetName, DatasetOptions] = Field(default_factory=dict)

    @field_validator("aliases")
    @classmethod
    def _is_one_step(cls, aliases: AbstractMapping[str, str]) -> AbstractMapping[str, str]:
        for name, target in aliases.items():
            if target in aliases:
                raise ValueError(f"{name} is treated as {target}, which is itself treated as another: name the last")
        return aliases

    def options(self, dataset: str) -> ResolvedOptions:
        """The settled options of `dataset`, whether it is named in the file or not."""
        own = self.datasets.get(dataset) or DatasetOptions()
        return ResolvedOptions(
            policy=own.policy or self.defaults.policy,
            partition_by=self.defaults.partition_by if own.partition_by is None else own.partition_by,
            naming=own.naming or self.defaults.naming,
            max_columns=own.max_columns or self.defaults.max_columns,
            max_tables=own.max_tables or self.defaults.max_tables,
        )

    def named_datasets(self) -> frozenset[str]:
        """Every dataset that a schema or the legacy mapping leads to."""
        revisions = [files for by_revision in self.legacy.values() for files in by_revision.values()]
        return frozenset(self.schemas.values()) | {dataset for files in revisions for dataset in files.values()}

    def app_of(self, record: Record) -> str | None:
        """The record's app, or the default one."""
        return record.app_id or self.default_app

    def plain_name(self, path: str) -> str:
        """The name by which a file is looked up: the last part of its path, after aliases."""
        name = base_name(path)
        return self.aliases.get(name, name)

    def why_ignored(self, name: str) -> str | None:
        """Why nobody wants files of this base name; None when somebody may."""
        return next((why or "ignored" for glob, why in self.ignored.items() if fnmatchcase(name, glob)), None)


def base_name(path: str) -> str:
    """The last part of a path inside a zip."""
    return re.split(r"[/\\]", path)[-1]

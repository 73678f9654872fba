"""The mapping file as values: which file of which record belongs to which dataset, and what is forgiven."""

from collections.abc import Mapping as AbstractMapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

DatasetName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_]*_v[1-9][0-9]*$", max_length=80)]
"""Identifier and version, as `MotionRecord_v1`; it names the dataset's root table."""
Policy = Literal["evolve", "variant", "quarantine", "freeze"]
Naming = Literal["carrel", "bridge"]
PartitionColumn = Literal["assessmentid", "assessmentrevision", "year", "month", "day"]
FileName = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^/]+$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ArchiveMapSource(_Part):
    """Where `carrel ingest schemas pull` takes the archive map from. `{version}` in `url` is replaced."""

    url: str
    """http(s) URL, or a path; a relative path is relative to the mapping file."""
    version: str | None = None
    mirrors: AbstractMapping[str, str] = Field(default_factory=dict)
    """URL prefix -> prefix (URL or path) to read from instead."""


class Rule(_Part):
    """An error of validation that is let pass. Every condition given must hold; a rule needs `keyword`.

    `file` is the base name after aliases; `pointer` a JSON pointer where `*` stands for one part and `**` for any
    number; `value` the offending value itself; `property` the key that `required` misses or `additionalProperties`
    did not expect; `expected` what the schema wanted (of `type`: the type's name).
    """

    name: str
    because: str = ""
    keyword: str
    app: str | None = None
    os: str | None = None
    """Found anywhere in the client information, as `Android`."""
    app_version: str | None = None
    """Comparisons joined by commas, as `>=60,<74`."""
    assessment: str | None = None
    assessment_revision: int | None = None
    file: str | None = None
    schema_id: str | None = Field(default=None, alias="schema")
    pointer: str | None = None
    value: Any = Field(default_factory=lambda: ANY)
    property: str | None = None
    expected: str | None = None


class _Any:
    """The value of a rule that looks at no value (null is a value)."""

    def __repr__(self) -> str:
        return "any value"

    def __reduce__(self) -> str:
        return "ANY"


ANY = _Any()


class DatasetOptions(_Part):
    """How one dataset is kept; None: as `defaults` says."""

    policy: Policy | None = None
    partition_by: tuple[PartitionColumn, ...] | None = None
    naming: Naming | None = None
    description: str = ""


class Defaults(_Part):
    """How datasets are kept that say nothing themselves."""

    policy: Policy = "evolve"
    partition_by: tuple[PartitionColumn, ...] = ()
    naming: Naming = "carrel"


class Options(_Part):
    """The settled options of one dataset."""

    policy: Policy
    partition_by: tuple[str, ...]
    naming: Naming


class Mapping(_Part):
    """The whole mapping. Immutable and picklable."""

    archive_map: ArchiveMapSource | None = None
    schemas: AbstractMapping[str, DatasetName] = Field(default_factory=dict)
    """`$id` (or URL) of a schema -> dataset."""
    legacy: AbstractMapping[str, AbstractMapping[int, AbstractMapping[FileName, DatasetName]]] = Field(
        default_factory=dict
    )
    """assessment -> revision -> file -> dataset; records of these are not validated."""
    aliases: AbstractMapping[FileName, FileName] = Field(default_factory=dict)
    """file name -> the name it is treated as."""
    ignored: tuple[str, ...] = ()
    """Globs of base names that nobody wants: skipped without a look for a schema."""
    forgive: tuple[Rule, ...] = ()
    defaults: Defaults = Defaults()
    datasets: AbstractMapping[DatasetName, DatasetOptions] = Field(default_factory=dict)

    def options(self, dataset: str) -> Options:
        """The settled options of `dataset`, whether it is named in the file or not."""
        own = self.datasets.get(dataset, DatasetOptions()).model_dump(exclude_none=True, exclude={"description"})
        return Options.model_validate({**self.defaults.model_dump(), **own})

    def named_datasets(self) -> frozenset[str]:
        """Every dataset that a schema or the legacy mapping leads to."""
        legacy = {
            name for by_revision in self.legacy.values() for files in by_revision.values() for name in files.values()
        }
        return frozenset(self.schemas.values()) | legacy

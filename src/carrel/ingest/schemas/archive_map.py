"""The archive map: which file of which assessment or app has which schema (format: mobile-client-json ArchiveMap v3).

Where entries contradict each other, the later one wins; `carrel ingest check` names them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class FileInfo(_Part):
    filename: str
    jsonSchema: str | None = None


class AssessmentArchive(_Part):
    assessmentIdentifier: str
    assessmentRevision: int
    files: tuple[FileInfo, ...] = ()


class DefaultArchive(_Part):
    files: tuple[FileInfo, ...] = ()


class AppInfo(_Part):
    appId: str
    default: tuple[DefaultArchive, ...] = ()
    anyOf: tuple[FileInfo, ...] = ()


class ArchiveMapDocument(_Part):
    """The part of the document that look-up needs."""

    assessments: tuple[AssessmentArchive, ...]
    apps: tuple[AppInfo, ...] = ()
    anyOf: tuple[FileInfo, ...] = Field(default=())

    def all_files(self) -> Iterator[tuple[str, FileInfo]]:
        """Every entry with the section it stands in, in words."""
        for assessment in self.assessments:
            section = f"assessment {assessment.assessmentIdentifier} revision {assessment.assessmentRevision}"
            yield from ((section, file) for file in assessment.files)
        for app in self.apps:
            yield from ((f"app {app.appId} default", file) for default in app.default for file in default.files)
            yield from ((f"app {app.appId} anyOf", file) for file in app.anyOf)
        yield from (("anyOf", file) for file in self.anyOf)


class NotAnArchiveMap(ValueError):
    """The document has not the form of an archive map."""


def parse_archive_map(document: Any) -> ArchiveMapDocument:
    """Raises NotAnArchiveMap, saying where."""
    try:
        return ArchiveMapDocument.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = "/".join(map(str, first["loc"]))
        raise NotAnArchiveMap(f"not an archive map: {where or 'the whole'}: {first['msg']}") from None


@dataclass(frozen=True, slots=True)
class SchemaReference:
    """The URL of a schema and, in words, where the archive map names it."""

    url: str
    where: str


SchemaUrls = dict[str, str]
"""file name -> URL of its schema"""


class ArchiveMapIndex:
    """Look-up in the archive map, steps 3b to 3d of ingest.md section 1.3."""

    def __init__(self, document: ArchiveMapDocument):
        self._assessments: dict[str, dict[int, SchemaUrls]] = {}
        for assessment in document.assessments:
            by_revision = self._assessments.setdefault(assessment.assessmentIdentifier, {})
            by_revision[assessment.assessmentRevision] = _urls(assessment.files)
        self._defaults: dict[str, SchemaUrls] = {}
        self._any_of: dict[str, SchemaUrls] = {}
        for app in document.apps:
            for default in app.default:
                self._defaults.setdefault(app.appId, {}).update(_urls(default.files))
            self._any_of.setdefault(app.appId, {}).update(_urls(app.anyOf))
        self._everywhere = _urls(document.anyOf)

    def find(self, name: str, app: str | None, assessment: str | None, revision: int | None) -> SchemaReference | None:
        """The schema of a file by its plain name; None when the archive map has none for it."""
        for where, urls in self._candidates(app, assessment, revision):
            if name in urls:
                return SchemaReference(urls[name], where)
        return None

    def _candidates(
        self, app: str | None, assessment: str | None, revision: int | None
    ) -> Iterator[tuple[str, SchemaUrls]]:
        """Where a schema is looked for, in words, and the schemas there; the first that has the file counts."""
        by_revision = self._assessments.get(assessment or "", {})
        earlier = [] if revision is None else [start for start in by_revision if start <= revision]
        if earlier:
            yield f"the archive map's assessment, from revision {max(earlier)} on", by_revision[max(earlier)]
        if app is not None:
            yield "the archive map's files of any assessment of the app", self._any_of.get(app, {})
            yield "the archive map's defaults of the app", self._defaults.get(app, {})
        yield "the archive map's files of every archive", self._everywhere


def _urls(files: Iterable[FileInfo]) -> SchemaUrls:
    return {file.filename: file.jsonSchema for file in files if file.jsonSchema}

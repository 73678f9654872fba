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
        """Every entry with the place it stands in, in words."""
        for assessment in self.assessments:
            place = f"assessment {assessment.assessmentIdentifier} revision {assessment.assessmentRevision}"
            yield from ((place, file) for file in assessment.files)
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


Files = dict[str, str]


class ArchiveMapIndex:
    """Look-up in the archive map, steps 3b to 3d of ingest.md section 1.3."""

    def __init__(self, document: ArchiveMapDocument):
        self._assessments: dict[str, dict[int, Files]] = {}
        for each in document.assessments:
            self._assessments.setdefault(each.assessmentIdentifier, {})[each.assessmentRevision] = _urls(each.files)
        self._defaults: dict[str, Files] = {}
        self._any_of: dict[str, Files] = {}
        for app in document.apps:
            for default in app.default:
                self._defaults.setdefault(app.appId, {}).update(_urls(default.files))
            self._any_of.setdefault(app.appId, {}).update(_urls(app.anyOf))
        self._everywhere = _urls(document.anyOf)

    def find(self, name: str, app: str | None, assessment: str | None, revision: int | None) -> SchemaReference | None:
        """The schema of a file by its plain name; None when the archive map has none for it."""
        return (
            self._of_assessment(name, assessment, revision)
            or self._of_app(name, app)
            or _found(self._everywhere, name, "the archive map's files of every archive")
        )

    def _of_assessment(self, name: str, assessment: str | None, revision: int | None) -> SchemaReference | None:
        by_revision = self._assessments.get(assessment or "", {})
        fitting = [each for each in by_revision if revision is not None and each <= revision]
        if not fitting:
            return None
        greatest = max(fitting)
        return _found(by_revision[greatest], name, f"the archive map's assessment, from revision {greatest} on")

    def _of_app(self, name: str, app: str | None) -> SchemaReference | None:
        if app is None:
            return None
        return _found(
            self._any_of.get(app, {}), name, "the archive map's files of any assessment of the app"
        ) or _found(self._defaults.get(app, {}), name, "the archive map's defaults of the app")


def _urls(files: Iterable[FileInfo]) -> Files:
    return {file.filename: file.jsonSchema for file in files if file.jsonSchema}


def _found(files: Files, name: str, where: str) -> SchemaReference | None:
    url = files.get(name)
    return SchemaReference(url, where) if url else None

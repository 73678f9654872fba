"""A few records that stand for all, and what an old and a new schema say of them (ingest.md section 2.2)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar

from carrel.ingest.mapping.clients import client_of
from carrel.ingest.mapping.model import Mapping
from carrel.ingest.schemas.checker import Checker
from carrel.ingest.schemas.library import Library
from carrel.ingest.values import Fault, Record, Resolution

Sample = TypeVar("Sample")
Verdict = Literal["taken by both", "refused now", "taken now", "refused by both"]


class Group(NamedTuple):
    """Records that are thought to be alike."""

    assessment: str | None
    revision: int | None
    os_name: str | None
    app_version: str | None


def group_of(record: Record) -> Group:
    """The group of a record: by its assessment, and by what its app says of itself."""
    client = client_of(record.client_info)
    return Group(record.assessment_id, record.assessment_revision, client.os_name, client.app_version)


def representative(records: Iterable[tuple[Record, Sample]]) -> dict[Group, tuple[Record, Sample]]:
    """One record for each group, with whatever came with it: the first uploaded, so that the choice stays."""
    chosen: dict[Group, tuple[Record, Sample]] = {}
    for record, sample in records:
        rival = chosen.get(group_of(record))
        if rival is None or (record.uploaded_on, record.record_id) < (rival[0].uploaded_on, rival[0].record_id):
            chosen[group_of(record)] = (record, sample)
    return dict(sorted(chosen.items(), key=lambda item: tuple(map(str, item[0]))))


@dataclass(frozen=True, slots=True)
class SampleComparison:
    """What the two schemas say of one file."""

    group: Group
    record_id: str
    source_file: str
    before: tuple[Fault, ...]
    after: tuple[Fault, ...]

    @property
    def verdict(self) -> Verdict:
        if self.before:
            return "refused by both" if self.after else "taken now"
        return "refused now" if self.after else "taken by both"


def compare_on_sample(
    files: Iterable[tuple[Record, str, Any]], uri: str, old: Library, new: Library, mapping: Mapping
) -> Iterator[SampleComparison]:
    """Each file (record, path, JSON value) of the sample, checked against schema `uri` of the old and new library."""
    checkers = [(Checker(mapping, library), Resolution(None, uri, library.hash_of(uri), "")) for library in (old, new)]
    for record, path, value in files:
        before, after = (checker.check(value, resolution, record, path) for checker, resolution in checkers)
        yield SampleComparison(group_of(record), record.record_id, path, before, after)

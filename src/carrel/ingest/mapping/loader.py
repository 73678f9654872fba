"""From YAML to a checked `Mapping`: every problem at once, each with its line.

A mapping file is laid over the shipped one: what it names is added or replaces what was there, key by key, and a
null takes away what was there. `extends: nothing` at the top starts from nothing.
"""

import difflib
from collections.abc import Iterable
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from carrel.ingest.mapping.model import ArchiveMapSource, DatasetOptions, Defaults, ForgivenessRule, Mapping
from carrel.ingest.mapping.yaml_text import message_of, read_yaml, with_tuples
from carrel.units.yaml_documents import YamlDocument, YamlFault

_MERGED_LEVELS = {"schemas": 1, "aliases": 1, "ignored": 1, "forgive": 1, "defaults": 1, "datasets": 2, "legacy": 3}
"""How deep the two files are merged under each key; whatever lies deeper is replaced whole."""


@dataclass(frozen=True, slots=True)
class MappingProblem:
    """One thing wrong with a mapping file. `where`: keys joined by dots; `line` from 1."""

    line: int
    where: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.where}: {self.message}" if self.where else f"line {self.line}: {self.message}"


class MappingInvalid(ValueError):
    """The mapping file cannot be used; `problems` are all that is wrong with it."""

    def __init__(self, name: str, problems: Iterable[MappingProblem]):
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line, problem.where)))
        super().__init__("\n".join(f"{name}: {problem}" for problem in self.problems))


@cache
def shipped() -> Mapping:
    """The mapping that comes with Carrel."""
    text = files("carrel.ingest.mapping").joinpath("mapping.yaml").read_text(encoding="utf-8")
    return loads(text, "the shipped mapping", Mapping())


def load(path: Path | None = None) -> Mapping:
    """The mapping in the file, laid over the shipped one; None: the shipped one alone. Raises MappingInvalid."""
    if path is None:
        return shipped()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or "unreadable") if isinstance(error, OSError) else "it is not UTF-8"
        raise MappingInvalid(str(path), [MappingProblem(1, "", f"the file cannot be read: {reason}")]) from None
    return loads(text, str(path))


def loads(text: str, name: str = "mapping.yaml", base: Mapping | None = None) -> Mapping:
    """The mapping in `text`, laid over `base` (default: the shipped one). Raises MappingInvalid."""
    try:
        document = read_yaml(text)
    except YamlFault as fault:
        raise MappingInvalid(name, [MappingProblem(fault.line, "", message_of(fault))]) from None
    problems = [
        MappingProblem(fault.line, ".".join(map(str, path)), "this key is given twice")
        for path, fault in document.duplicates
    ]
    value = {} if document.value is None else with_tuples(document.value)
    if not isinstance(value, dict):
        raise MappingInvalid(name, [MappingProblem(1, "", "a mapping file is a YAML mapping"), *problems])
    overlay = _Overlay(document, problems)
    extends = value.pop("extends", "shipped")
    if extends not in ("shipped", "nothing"):
        overlay.note(("extends",), "must be shipped or nothing")
    if extends == "nothing":
        base_value: dict[str, Any] = {}
    else:
        base_value = (shipped() if base is None else base).model_dump(by_alias=True, exclude_unset=True)
    return _validate(name, overlay.merge(base_value, value), document, problems)


@dataclass(slots=True)
class _Overlay:
    """Lays one file over another and notes what does not fit."""

    document: YamlDocument
    problems: list[MappingProblem]

    def note(self, where: tuple[Any, ...], message: str) -> None:
        line, _ = self.document.locate(where, key=True)
        self.problems.append(MappingProblem(line, ".".join(map(str, where)), message))

    def merge(self, base: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
        """The whole value, laid over the whole base."""
        merged = dict(base)
        for key, own in value.items():
            merged[key] = self._merge(base.get(key, {}), own, _MERGED_LEVELS.get(key, 0), (key,))
        return merged

    def _merge(self, base: Any, own: Any, levels: int, where: tuple[Any, ...]) -> Any:
        if own is None and levels:
            return {}
        if not (levels and isinstance(own, dict) and isinstance(base, AbstractMapping)):
            return own
        merged = dict(base)
        for key, value in own.items():
            if value is not None:
                merged[key] = self._merge(base.get(key, {}), value, levels - 1, (*where, key))
            elif merged.pop(key, None) is None:
                self.note((*where, key), "null takes away what the shipped mapping has, and it has no such key")
        return merged


def _validate(name: str, merged: dict[str, Any], document: YamlDocument, problems: list[MappingProblem]) -> Mapping:
    try:
        mapping = Mapping.model_validate(merged)
    except ValidationError as error:
        noted = {problem.where for problem in problems}  # a key that stands twice is not judged by either value
        for details in error.errors():
            path = tuple(part for part in details["loc"] if part != "[key]")
            where, (line, _) = ".".join(map(str, path)), document.locate(path, key=True)
            if where not in noted:
                problems = [*problems, MappingProblem(line, where, _message(details, path))]
        raise MappingInvalid(name, problems) from None
    if problems:
        raise MappingInvalid(name, problems)
    return mapping


def _message(error: Any, where: tuple[Any, ...]) -> str:
    kind = error["type"]
    if kind == "extra_forbidden":
        return _unknown_key(where)
    if kind == "missing":
        return "is missing"
    if kind == "string_pattern_mismatch" and where[0] in ("schemas", "legacy", "datasets"):
        return "a dataset is named by identifier and version, as MotionRecord_v1"
    if kind == "string_type" and isinstance(error["input"], (int, float)):
        return "must be text; put it in quotes"
    message: str = error["msg"]
    return message.removeprefix("Value error, ").removeprefix("Input ")


def _unknown_key(where: tuple[Any, ...]) -> str:
    models: dict[Any, type[BaseModel]] = {
        "archive_map": ArchiveMapSource,
        "forgive": ForgivenessRule,
        "defaults": Defaults,
        "datasets": DatasetOptions,
    }
    model = Mapping if len(where) == 1 else models[where[0]]
    keys = [field.alias or name for name, field in model.model_fields.items()]
    close = difflib.get_close_matches(str(where[-1]), keys, 1)
    return f"unknown key; did you mean {close[0]}?" if close else f"unknown key; the keys here are {', '.join(keys)}"

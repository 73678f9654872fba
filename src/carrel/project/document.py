"""YAML 1.2 text to plain values, each with its line and column.

PyYAML's C parser gives the events; values are built here, in one pass and without recursion, because PyYAML's own
constructor follows YAML 1.1 (`yes` is true), keeps the last of duplicate keys, loses the positions, is slow, and
overflows the stack on deep nesting. Source of the resolution rules: YAML 1.2.2, section 10.3 (core schema), and
the merge key `<<`, which studies use although 1.2 dropped it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import IO, Any, NamedTuple

import yaml

from carrel.project.problems import Problem, YAMLError, printable
from carrel.units.limits import MAX_PROJECT_BYTES, MAX_PROJECT_DEPTH, MAX_PROJECT_EXPANDED

Source = str | bytes | IO[str] | IO[bytes]
Path = tuple[Any, ...]
"""Keys and indices that lead from the document's root to a value."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NOTHING = object()
_MERGE = object()
_OPEN = object()
_CONTAINERS = (dict, list)
_STANDARD = "tag:yaml.org,2002:"

_KINDS: dict[str, Any] = {"null": type(None), "bool": bool, "int": int, "float": (int, float)}

_words: dict[str, Any] = {"": None, "~": None}
for _word, _meaning in {"null": None, "true": True, "false": False}.items():
    _words |= {_word: _meaning, _word.capitalize(): _meaning, _word.upper(): _meaning}
_words |= {spelling: float("nan") for spelling in (".nan", ".NaN", ".NAN")}
for _sign, _infinity in {"": float("inf"), "+": float("inf"), "-": float("-inf")}.items():
    _words |= {_sign + spelling: _infinity for spelling in (".inf", ".Inf", ".INF")}

_FIRST = frozenset("~nNtTfF.+-0123456789")
_decimal = re.compile(r"[-+]?[0-9]+").fullmatch
_octal = re.compile(r"0o[0-7]+").fullmatch
_hexadecimal = re.compile(r"0x[0-9a-fA-F]+").fullmatch
# What YAML 1.2.2 section 5.1 allows in a file, turned round.
_unprintable = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]").search
_float = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?").fullmatch


def resolve(text: str) -> Any:
    """Value of a plain (not quoted, not tagged) scalar."""
    if text and text[0] not in _FIRST:
        return text
    value = _words.get(text, _NOTHING)
    return _number(text) if value is _NOTHING else value


def _number(text: str) -> Any:
    if _octal(text) or _hexadecimal(text):
        return int(text, 0)
    if _decimal(text):
        return int(text) if len(text) < 4000 else float(text)  # int() refuses very long digits
    return float(text) if _float(text) else text


class Fault(Exception):
    """Reading cannot go on: what is wrong, and the mark of where."""

    def __init__(self, message: str, mark: Any) -> None:
        super().__init__(message)
        self.message, self.mark = message, mark


class _Mapping:
    """A mapping being read: takes key, value, key, value."""

    __slots__ = ("anchor", "key", "key_mark", "mark", "merges", "places", "value")

    def __init__(self, anchor: str | None, mark: Any) -> None:
        self.value: dict[Any, Any] = {}
        self.places: dict[Any, tuple[Any, Any]] = {}
        self.anchor, self.mark = anchor, mark
        self.key: Any = _NOTHING
        self.key_mark: Any = None
        self.merges: list[Any] = []

    def add(self, value: Any, mark: Any, reader: _Reader) -> None:
        key = self.key
        if key is _NOTHING:
            if isinstance(value, _CONTAINERS):
                raise Fault("found a key that is not a plain value", mark)
            self.key, self.key_mark = value, mark
            return
        self.key = _NOTHING
        if key is _MERGE:
            self._merge(value, mark, reader)
        elif key in self.value:
            reader.duplicate(key, value, self.key_mark)
        else:
            self.value[key] = value
            self.places[key] = (self.key_mark, mark)

    def _merge(self, value: Any, mark: Any, reader: _Reader) -> None:
        if self.merges:
            reader.duplicate("<<", value, self.key_mark)
        self.merges = value if isinstance(value, list) else [value]
        if not all(isinstance(each, dict) for each in self.merges):
            raise Fault("expected a mapping or a list of mappings to merge", mark)

    def finish(self, places: dict[int, Any]) -> Any:
        """The mapping; merged keys come first, and give way to the mapping's own."""
        if self.merges:
            own, own_places = dict(self.value), self.places
            self.value.clear()
            self.places = {}
            for merged in reversed(self.merges):
                self.value.update(merged)
                self.places.update(places[id(merged)])
            self.value.update(own)
            self.places.update(own_places)
        places[id(self.value)] = self.places
        return self.value


class _Sequence:
    """A list being read."""

    __slots__ = ("anchor", "key", "mark", "places", "value")

    def __init__(self, anchor: str | None, mark: Any) -> None:
        self.value: list[Any] = []
        self.places: list[tuple[Any, Any]] = []
        self.anchor, self.mark = anchor, mark
        self.key: Any = None

    def add(self, value: Any, mark: Any, reader: _Reader) -> None:
        self.value.append(value)
        self.places.append((mark, mark))

    def finish(self, places: dict[int, Any]) -> Any:
        places[id(self.value)] = self.places
        return self.value


class _Root:
    """What holds the document's one value."""

    __slots__ = ("key", "mark", "value")

    def __init__(self) -> None:
        self.value: Any = None
        self.mark: Any = None
        self.key: Any = None

    def add(self, value: Any, mark: Any, reader: _Reader) -> None:
        self.value, self.mark = value, mark


class _Reader:
    """Builds the value of one document from its events."""

    def __init__(self) -> None:
        self.top: _Mapping | _Sequence | _Root = _Root()
        self.stack: list[Any] = [self.top]
        self.anchors: dict[str, Any] = {}
        self.places: dict[int, Any] = {}
        self.duplicates: list[Fault] = []
        self.sizes: dict[int, tuple[int, int]] = {}
        self.aliased = 0
        self.documents = 0
        self.handlers: dict[type, Callable[[Any], None]] = {
            yaml.ScalarEvent: self.scalar,
            yaml.AliasEvent: self.alias,
            yaml.MappingStartEvent: self.mapping,
            yaml.SequenceStartEvent: self.sequence,
            yaml.MappingEndEvent: self.end,
            yaml.SequenceEndEvent: self.end,
            yaml.DocumentStartEvent: self.document,
            yaml.DocumentEndEvent: self.nothing,
            yaml.StreamStartEvent: self.nothing,
            yaml.StreamEndEvent: self.nothing,
        }

    def nothing(self, event: Any) -> None:
        pass

    def document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            raise Fault("expected a single document in the stream, but found another document", event.start_mark)

    def scalar(self, event: Any) -> None:
        text, top = event.value, self.top
        if not event.implicit[0]:
            value = _special(event, text)
        elif text == "<<" and top.key is _NOTHING:
            value = _MERGE
        else:
            value = resolve(text)
        if event.anchor:
            self.anchors[event.anchor] = value
        top.add(value, event.start_mark, self)

    def alias(self, event: Any) -> None:
        """The very value again: nothing is copied, but what is made of it later will be as long as it looks."""
        value = self.anchors.get(event.anchor, _NOTHING)
        if value is _NOTHING:
            raise Fault(f"found undefined alias {event.anchor!r}", event.start_mark)
        if value is _OPEN:
            raise Fault(f"found alias {event.anchor!r} inside of what it stands for", event.start_mark)
        size, height = self._size(value)
        self.aliased += size
        if self.aliased > MAX_PROJECT_EXPANDED or len(self.stack) - 1 + height > MAX_PROJECT_DEPTH:
            raise Fault("aliases make the file too large", event.start_mark)
        self.top.add(value, event.start_mark, self)

    def _size(self, value: Any) -> tuple[int, int]:
        """Characters and nodes in a value with its aliases followed, and how deep it is (at most MAX_PROJECT_DEPTH)."""
        if not isinstance(value, _CONTAINERS):
            return len(str(value)) + 1, 0
        if id(value) not in self.sizes:
            inner = [self._size(each) for each in (value.values() if isinstance(value, dict) else value)]
            keys = sum(len(str(key)) + 1 for key in value) if isinstance(value, dict) else 0
            size = 1 + keys + sum(size for size, _ in inner)
            self.sizes[id(value)] = size, 1 + max((height for _, height in inner), default=0)
        return self.sizes[id(value)]

    def mapping(self, event: Any) -> None:
        self._open(_Mapping, event, "map")

    def sequence(self, event: Any) -> None:
        self._open(_Sequence, event, "seq")

    def _open(self, kind: type[_Mapping] | type[_Sequence], event: Any, tag: str) -> None:
        if event.tag is not None and event.tag not in ("!", _STANDARD + tag):
            raise Fault(f"could not read a value tagged {event.tag!r}", event.start_mark)
        if len(self.stack) > MAX_PROJECT_DEPTH:
            raise Fault(f"lists and mappings are nested more than {MAX_PROJECT_DEPTH} deep", event.start_mark)
        if event.anchor:
            self.anchors[event.anchor] = _OPEN
        self.top = kind(event.anchor, event.start_mark)
        self.stack.append(self.top)

    def end(self, event: Any) -> None:
        frame = self.stack.pop()
        value = frame.finish(self.places)
        if frame.anchor and self.anchors[frame.anchor] is _OPEN:  # else it was given again inside, which counts
            self.anchors[frame.anchor] = value
        self.top = self.stack[-1]
        self.top.add(value, frame.mark, self)

    def duplicate(self, key: Any, value: Any, mark: Any) -> None:
        shown = value if isinstance(value, str) else repr(value)
        shown = shown if len(shown) <= 80 else shown[:80] + "..."
        self.duplicates.append(Fault(f'found duplicate key "{key}" with value "{shown}"', mark))


def _special(event: Any, text: str) -> Any:
    """Value of a quoted or tagged scalar."""
    if event.tag is None or event.tag in ("!", _STANDARD + "str"):
        return text
    value = resolve(text)
    name = event.tag.removeprefix(_STANDARD)
    kind = _KINDS.get(name)
    if kind is None or not isinstance(value, kind):
        raise Fault(f"could not read {text!r} as {event.tag!r}", event.start_mark)
    return float(value) if name == "float" else value


class Document:
    """A YAML text as plain values (`value`), and where each of them stands."""

    def __init__(self, text: str, filename: str) -> None:
        """Read `text`; raises YAMLError where it cannot be read. Duplicate keys are kept in `problems`."""
        self.text, self.filename = text, filename
        self._reader = reader = _Reader()
        handlers = reader.handlers
        try:
            check_size(len(text.encode()))
            for event in iter(_Loader(text).get_event, None):
                handlers[type(event)](event)
        except Fault as fault:
            raise YAMLError(self._problem(fault.message, fault.mark)) from None
        except (yaml.YAMLError, UnicodeError) as error:
            raise YAMLError(self._problem(*_explain(error, text))) from None
        self.value = reader.top.value

    @classmethod
    def of(cls, source: Source, filename: str) -> Document:
        """Read a text, its UTF-8 bytes, or an open file, of which no more is taken than a document may be long.

        Raises YAMLError, also for bytes that are not UTF-8.
        """
        raw = source if isinstance(source, str | bytes) else source.read(MAX_PROJECT_BYTES + 1)
        if isinstance(raw, str):
            return cls(raw.removeprefix("\ufeff"), filename)
        raw = raw.removeprefix(codecs.BOM_UTF8)
        try:
            check_size(len(raw))
            return cls(raw.decode(), filename)
        except Fault as fault:
            raise YAMLError(Problem(fault.message, 1, 1, "error", filename, "yaml")) from None
        except UnicodeDecodeError as error:
            raise YAMLError(_undecodable(raw, error.start, filename)) from None

    @property
    def problems(self) -> list[Problem]:
        return [self._problem(fault.message, fault.mark) for fault in self._reader.duplicates]

    def locate(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Line and column (from 1) of the value at `path`, or of its key; of the nearest parent where it is missing."""
        value, marks = self.value, (self._reader.top.mark,) * 2
        for step in path:
            places, step = self._reader.places.get(id(value)), _find(value, step)
            if places is None or step is None:
                key = True
                break
            value, marks = value[step], places[step]
        return _position(marks[0] if key else marks[1])

    def _problem(self, message: str, mark: Any) -> Problem:
        line, column = _position(mark)
        return Problem(printable(message), line, column, "error", self.filename, "yaml")


def check_size(size: int) -> None:
    """Refuse a text of more than the limit (`size` in bytes) before anything is made of it."""
    if size > MAX_PROJECT_BYTES:
        raise Fault(f"the file is larger than {MAX_PROJECT_BYTES // 1024} KiB", None)


def _undecodable(raw: bytes, offset: int, filename: str) -> Problem:
    before = raw[:offset].decode("utf-8", "replace")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return Problem("the file is not UTF-8 text", line, column, "error", filename, "yaml")


def _find(value: Any, step: Any) -> Any:
    """The key or index itself, or of the key whose text (or the entry which) is `step`; None where there is none."""
    if isinstance(value, dict):
        return step if step in value else next((key for key in value if str(key) == step), None)
    if isinstance(value, list):
        return step if isinstance(step, int) else next((i for i, each in enumerate(value) if each == step), None)
    return None


def _position(mark: Any) -> tuple[int, int]:
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)


def _explain(error: Exception, text: str) -> tuple[str, Any]:
    """Message and mark of a parser's error."""
    if isinstance(error, yaml.MarkedYAMLError):
        words = ": ".join(part for part in (error.context, error.problem) if part)
        return words, error.problem_mark or error.context_mark
    found = _unprintable(text)
    return "control characters are not allowed", _mark_of(text, found.start()) if found else None


class _Mark(NamedTuple):
    line: int
    column: int


def _mark_of(text: str, offset: int) -> _Mark:
    return _Mark(text.count("\n", 0, offset), offset - text.rfind("\n", 0, offset) - 1)

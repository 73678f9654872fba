"""YAML as plain values, with the line and column of each.

PyYAML's C parser gives the events; values are built here, in one pass and without recursion, because PyYAML's own
constructor keeps the last of duplicate keys, loses the positions, is slow, and overflows the stack on deep nesting
(ADR 0005). The merge key `<<` is followed, as in YAML 1.1. What a scalar means, the reader's user says.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

import yaml

STANDARD = "tag:yaml.org,2002:"
Kind = Literal["syntax", "depth", "alias", "key", "tag"]
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Path = tuple[Any, ...]
"""Keys and indices that lead from the document's root to a value."""
_NOTHING, _MERGE, _OPEN = object(), object(), object()
_CONTAINERS = (dict, list)
# What YAML 1.2.2 section 5.1 allows in a file, turned round.
_unprintable = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]").search


class Mark(NamedTuple):
    """A place in a text, counted from 0 (as PyYAML's own)."""

    line: int
    column: int


class YamlFault(Exception):
    """The text, or something in it, is not YAML that is taken: what is wrong, and where. Lines count from 1."""

    def __init__(self, message: str, mark: Any, kind: Kind = "syntax") -> None:
        super().__init__(message)
        self.message, self.kind = message, kind
        self.line, self.column = _position(mark)


class _Frame:
    """A mapping being read, which takes key, value, key, value; or a list. The document itself is a list of one."""

    __slots__ = ("anchor", "key", "key_mark", "mark", "merges", "places", "value")

    def __init__(self, value: dict[Any, Any] | list[Any], anchor: str | None, mark: Any) -> None:
        self.value: Any = value
        self.places: dict[Any, tuple[Any, Any]] = {}
        self.anchor, self.mark = anchor, mark
        self.key: Any = _NOTHING if isinstance(value, dict) else None
        self.key_mark: Any = None
        self.merges: list[Any] = []

    def add(self, value: Any, mark: Any, reader: "_Reader") -> None:
        key = self.key
        if isinstance(self.value, list):
            self.places[len(self.value)] = (mark, mark)
            self.value.append(value)
        elif key is _NOTHING:
            if isinstance(value, _CONTAINERS):
                raise YamlFault("found a key that is not a plain value", mark, "key")
            self.key, self.key_mark = value, mark
        else:
            if key is _MERGE:
                self._merge(value, mark, reader)
            elif key in self.value:
                reader.note_duplicate(key, value, self.key_mark)
            else:
                self.value[key] = value
                self.places[key] = (self.key_mark, mark)
            self.key = _NOTHING

    def _merge(self, value: Any, mark: Any, reader: "_Reader") -> None:
        if self.merges:
            reader.note_duplicate("<<", value, self.key_mark)
        self.merges = value if isinstance(value, list) else [value]
        if not all(isinstance(merged, dict) for merged in self.merges):
            raise YamlFault("expected a mapping or a list of mappings to merge", mark)

    def finish(self, places: dict[int, Any]) -> Any:
        """Return the value; merged keys come first, and give way to the mapping's own."""
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


class _Reader:
    """Builds the value of one document from its events."""

    def __init__(self, scalar_of: Callable[[Any], Any], max_depth: int, max_expanded: int) -> None:
        self.scalar_of, self.max_depth, self.max_expanded = scalar_of, max_depth, max_expanded
        self.root = self.top = _Frame([], None, None)
        self.stack: list[_Frame] = [self.root]
        self.anchors: dict[str, Any] = {}
        self.places: dict[int, Any] = {}
        self.duplicates: list[tuple[Path, YamlFault]] = []
        self.sizes: dict[int, tuple[int, int]] = {}
        self.aliased = 0
        self.handlers: dict[type, Callable[[Any], None]] = {
            yaml.ScalarEvent: self.scalar,
            yaml.AliasEvent: self.alias,
            yaml.MappingStartEvent: self.open,
            yaml.SequenceStartEvent: self.open,
            yaml.MappingEndEvent: self.close,
            yaml.SequenceEndEvent: self.close,
            yaml.DocumentStartEvent: self.document,
        }

    def read(self, events: Iterable[Any]) -> None:
        for event in events:
            handler = self.handlers.get(type(event))
            if handler:
                handler(event)

    def document(self, event: Any) -> None:
        if self.root.value:
            raise YamlFault("expected a single document in the stream, but found another document", event.start_mark)

    def scalar(self, event: Any) -> None:
        is_merge = event.value == "<<" and event.implicit[0] and self.top.key is _NOTHING
        value = _MERGE if is_merge else self.scalar_of(event)
        if event.anchor:
            self.anchors[event.anchor] = value
        self.top.add(value, event.start_mark, self)

    def alias(self, event: Any) -> None:
        """Add the very value again: nothing is copied, but what is made of it later will be as long as it looks."""
        value = self.anchors.get(event.anchor, _NOTHING)
        if value is _NOTHING:
            raise YamlFault(f"found undefined alias {event.anchor!r}", event.start_mark)
        if value is _OPEN:
            raise YamlFault(f"found alias {event.anchor!r} inside of what it stands for", event.start_mark, "alias")
        size, height = self._size(value)
        self.aliased += size
        if self.aliased > self.max_expanded or len(self.stack) - 1 + height > self.max_depth:
            raise YamlFault("aliases make the file too large", event.start_mark, "alias")
        self.top.add(value, event.start_mark, self)

    def _size(self, value: Any) -> tuple[int, int]:
        """Count characters and nodes in a value with its aliases followed, and how deep it is (at most `max_depth`)."""
        if not isinstance(value, _CONTAINERS):
            return len(str(value)) + 1, 0
        if id(value) not in self.sizes:
            inner = [self._size(item) for item in (value.values() if isinstance(value, dict) else value)]
            keys = sum(len(str(key)) + 1 for key in value) if isinstance(value, dict) else 0
            size = 1 + keys + sum(size for size, _ in inner)
            self.sizes[id(value)] = size, 1 + max((height for _, height in inner), default=0)
        return self.sizes[id(value)]

    def open(self, event: Any) -> None:
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag is not None and event.tag not in ("!", STANDARD + ("map" if is_mapping else "seq")):
            raise YamlFault(f"could not read a value tagged {event.tag!r}", event.start_mark, "tag")
        if len(self.stack) > self.max_depth:
            message = f"lists and mappings are nested more than {self.max_depth} deep"
            raise YamlFault(message, event.start_mark, "depth")
        if event.anchor:
            self.anchors[event.anchor] = _OPEN
        self.top = _Frame({} if is_mapping else [], event.anchor, event.start_mark)
        self.stack.append(self.top)

    def close(self, event: Any) -> None:
        frame = self.stack.pop()
        value = frame.finish(self.places)
        if frame.anchor and self.anchors[frame.anchor] is _OPEN:  # else it was given again inside, which counts
            self.anchors[frame.anchor] = value
        self.top = self.stack[-1]
        self.top.add(value, frame.mark, self)

    def note_duplicate(self, key: Any, value: Any, mark: Any) -> None:
        shown = value if isinstance(value, str) else repr(value)
        shown = shown if len(shown) <= 80 else shown[:80] + "..."
        outer = (len(frame.value) if isinstance(frame.value, list) else frame.key for frame in self.stack[1:-1])
        path = (*outer, key)
        self.duplicates.append((path, YamlFault(f'found duplicate key "{key}" with value "{shown}"', mark)))


class YamlDocument:
    """A text as plain values (`value`; None when it is empty), and where each of them stands.

    `duplicates`: the path and a fault for each key that its mapping has already; the value is that of the first.
    """

    def __init__(
        self, text: str, scalar_of: Callable[[Any], Any], *, max_depth: int, max_expanded: int, parser: Any = None
    ) -> None:
        """Read `text`; raises YamlFault where it cannot be read.

        `scalar_of`: the value of a scalar event. `max_expanded`: characters and nodes that aliases may stand for.
        `parser`: PyYAML's, the one in C by default.
        """
        self._reader = reader = _Reader(scalar_of, max_depth, max_expanded)
        try:
            reader.read(iter((parser or Loader)(text).get_event, None))
        except (yaml.YAMLError, UnicodeError) as error:
            raise YamlFault(*_explain(error, text)) from None
        self.value = reader.root.value[0] if reader.root.value else None
        self.duplicates = reader.duplicates

    def locate(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Return line and column (from 1) of the value at `path` or of its key; where it is missing, of its parent."""
        value: Any = self.value
        marks = self._reader.root.places.get(0, (None, None))
        for step in path:
            places, step = self._reader.places.get(id(value)), _find(value, step)
            if places is None or step is None:
                key = True
                break
            value, marks = value[step], places[step]
        return _position(marks[0] if key else marks[1])


def _find(value: Any, step: Any) -> Any:
    """Return the key or index that is `step`, or whose text or entry is; None where there is none."""
    if isinstance(value, dict):
        return step if step in value else next((key for key in value if str(key) == step), None)
    if isinstance(value, list):
        return step if isinstance(step, int) else next((i for i, item in enumerate(value) if item == step), None)
    return None


def _position(mark: Any) -> tuple[int, int]:
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)


def _explain(error: Exception, text: str) -> tuple[str, Any]:
    """Message and mark of a parser's error."""
    if isinstance(error, yaml.MarkedYAMLError):
        message = ": ".join(part for part in (error.context, error.problem) if part)
        return message, error.problem_mark or error.context_mark
    match = _unprintable(text)
    if match is None:
        return "control characters are not allowed", None
    offset = match.start()
    column = offset - text.rfind("\n", 0, offset) - 1
    return "control characters are not allowed", Mark(text.count("\n", 0, offset), column)

"""YAML with the line of every key, and nothing that YAML can do to surprise: no tags, no keys given twice."""

from dataclasses import dataclass, field
from typing import Any

import yaml

Where = tuple[Any, ...]


class YamlFault(ValueError):
    """The text is not YAML that is taken; `line` from 1."""

    def __init__(self, line: int, message: str):
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class Document:
    """The value (sequences are tuples), where each key is, and problems as (where, line, message)."""

    value: Any = None
    lines: dict[Where, int] = field(default_factory=dict)
    problems: list[tuple[Where, int, str]] = field(default_factory=list)

    def line(self, where: Where) -> int:
        """The line of the key, or of the nearest thing around it that is in the text."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)


def read_yaml(text: str) -> Document:
    """Raises YamlFault when the text is no YAML document."""
    try:
        return _composed(yaml.SafeLoader(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlFault(mark.line + 1 if mark else 1, f"not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError):
        raise YamlFault(1, "not YAML: it holds characters, or a depth, that is not allowed") from None


def _composed(loader: yaml.SafeLoader) -> Document:
    document = Document()
    node = loader.get_single_node()
    if node is not None:
        document.value = _Builder(loader, document).build(node, ())
    return document


class _Builder:
    def __init__(self, loader: yaml.SafeLoader, document: Document):
        self.loader = loader
        self.document = document

    def build(self, node: yaml.Node, where: Where) -> Any:
        line = node.start_mark.line + 1
        self.document.lines.setdefault(where, line)
        if len(where) > 20:
            raise YamlFault(line, "nested too deep, or an anchor that holds itself")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, where)
        if isinstance(node, yaml.SequenceNode):
            return tuple(self.build(each, (*where, number)) for number, each in enumerate(node.value))
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, where: Where) -> dict[Any, Any]:
        built: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise YamlFault(line, "a key must be text or a number")
            key = self._scalar(key_node)
            if key in built:
                self.document.problems.append(((*where, key), line, "this key is given twice"))
            self.document.lines[*where, key] = line
            built[key] = self.build(value_node, (*where, key))
        return built

    def _scalar(self, node: yaml.Node) -> Any:
        if not node.tag.startswith("tag:yaml.org,2002:"):
            raise YamlFault(node.start_mark.line + 1, "tags are not taken")
        try:
            return self.loader.construct_object(node)
        except ValueError as error:
            raise YamlFault(node.start_mark.line + 1, f"not YAML: {error}") from None

"""The text of a mapping file: YAML with the line of every key, scalars as in YAML 1.1, and nothing to surprise.

No tags, and no keys twice. Values are PyYAML's own (`yes` is true, a date is a date), so nothing of YAML's meaning is
written here.
"""

from typing import Any

import yaml

from carrel.units.limits import MAX_PROJECT_EXPANDED
from carrel.units.yaml_documents import STANDARD, YamlDocument, YamlFault

MAX_DEPTH = 20
_MESSAGES = {
    "tag": "tags are not taken",
    "key": "a key must be text or a number",
    "depth": "nested too deep, or an anchor that holds itself",
    "alias": "nested too deep, or an anchor that holds itself",
}


def read_yaml(text: str) -> YamlDocument:
    """Raises YamlFault when the text is no YAML document that is taken."""
    loader = yaml.SafeLoader("")

    def value_of(event: Any) -> Any:
        is_untagged = event.tag in (None, "!")
        tag = loader.resolve(yaml.ScalarNode, event.value, event.implicit) if is_untagged else event.tag
        if not tag.startswith(STANDARD):
            raise YamlFault(_MESSAGES["tag"], event.start_mark, "tag")
        try:
            return loader.construct_object(yaml.ScalarNode(tag, event.value, event.start_mark))
        except ValueError as error:
            raise YamlFault(str(error), event.start_mark) from None

    # The parser in Python says better than the one in C where a text breaks off.
    return YamlDocument(text, value_of, max_depth=MAX_DEPTH, max_expanded=MAX_PROJECT_EXPANDED, parser=yaml.SafeLoader)


def with_tuples(value: Any) -> Any:
    """A copy of a document's value whose sequences are tuples, as the model has them."""
    if isinstance(value, dict):
        return {key: with_tuples(item) for key, item in value.items()}
    return tuple(map(with_tuples, value)) if isinstance(value, list) else value


def message_of(fault: YamlFault) -> str:
    """What is wrong, in the words for mapping files."""
    return _MESSAGES.get(fault.kind, f"not YAML: {fault.message}")

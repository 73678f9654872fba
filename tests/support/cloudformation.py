"""CloudFormation templates, read as plain values for looking at."""

from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy/aws"
TEMPLATES = DEPLOY / "templates"


def parsed(text: str) -> dict[str, Any]:
    """A template with `!Ref x` and its like read as `{"Ref": "x"}`."""

    class Loader(yaml.SafeLoader):
        pass

    def plain(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
        kinds = {yaml.ScalarNode: "scalar", yaml.SequenceNode: "sequence", yaml.MappingNode: "mapping"}
        build = getattr(loader, f"construct_{kinds[type(node)]}")
        value = build(node) if isinstance(node, yaml.ScalarNode) else build(node, deep=True)
        return {suffix: value}

    Loader.add_multi_constructor("!", plain)
    made: dict[str, Any] = yaml.load(text, Loader)
    return made


def resources(name: str) -> dict[str, Any]:
    """The resources of a template of ours."""
    found: dict[str, Any] = parsed((TEMPLATES / name).read_text())["Resources"]
    return found

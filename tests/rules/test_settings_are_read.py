"""A setting that is explained and that nothing reads is a promise not kept: each is asked for somewhere."""

import ast
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from carrel.agent.settings import AgentSettings
from carrel.controller.creation import CreationSettings
from carrel.controller.images import ImageSettings
from carrel.controller.settings import BackendSettings, ControllerSettings
from carrel.local.settings import LocalSettings
from carrel.repos.settings import RepoSettings

SOURCE = Path(__file__).parents[2] / "src" / "carrel"
CLASSES = (
    *(AgentSettings, BackendSettings, ControllerSettings),
    *(CreationSettings, ImageSettings, LocalSettings, RepoSettings),
)


@pytest.fixture(scope="module")
def asked() -> set[str]:
    """Every name that is read as an attribute anywhere."""
    trees = (ast.parse(path.read_text()) for path in SOURCE.rglob("*.py"))
    nodes = (node for tree in trees for node in ast.walk(tree))
    return {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}


@pytest.mark.parametrize("settings", CLASSES, ids=lambda each: each.__name__)
def test_each_setting_is_read(settings: type, asked: set[str]) -> None:
    names = {each.name for each in fields(settings)} if is_dataclass(settings) else set(settings.model_fields)
    assert names
    assert names - asked == set()

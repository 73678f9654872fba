"""Rows of the job server and of the review site change in their `service` alone; pages and APIs only ask it to."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "carrel"
WRITES = {"save", "create", "bulk_create", "bulk_update", "get_or_create", "update_or_create", "delete"}
ROOMS = {"jobserver": ("views", "api", "rights"), "review": ("views", "queries")}


def writes(text: str) -> list[str]:
    """Each call that writes rows, by its looks: a method of this name on something that is no module of the service."""
    nodes = list(ast.walk(ast.parse(text)))
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and (node.module or "").endswith(".service")]
    modules = {alias.asname or alias.name for node in imports for alias in node.names}
    return [
        ast.unparse(node.func)
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id in modules)
        if node.func.attr in WRITES or (node.func.attr == "update" and "objects" in ast.unparse(node.func))
    ]


@pytest.mark.parametrize("app", ROOMS)
def test_only_the_service_writes(app: str) -> None:
    files = [path for room in ROOMS[app] for path in (SOURCE / app / room).rglob("*.py")]
    assert files
    places = {str(path.relative_to(SOURCE)): found for path in files if (found := writes(path.read_text()))}
    assert places == {}, f"call a function of carrel.{app}.service"


def test_writes_are_seen() -> None:
    text = "from carrel.review.service import requests\nrequests.create(1)\n"
    text += "Job.objects.create(a=1)\nrow.save()\nJob.objects.filter(a=1).update(b=2)\n{}.update(c=3)\n"
    assert writes(text) == ["Job.objects.create", "row.save", "Job.objects.filter(a=1).update"]

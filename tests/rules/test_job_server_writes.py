"""Rows of the job server change in `jobserver/service` alone: pages, the API and rights only ask it to."""

import ast
from pathlib import Path

JOB_SERVER = Path(__file__).parents[2] / "src" / "carrel" / "jobserver"
WRITES = {"save", "create", "bulk_create", "bulk_update", "get_or_create", "update_or_create", "delete"}
ROOMS = ("views", "api", "rights")


def writes(text: str) -> list[str]:
    """Each call that writes rows, by its looks: a method of this name on something."""
    return [
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in WRITES or (node.func.attr == "update" and "objects" in ast.unparse(node.func))
    ]


def test_only_the_service_writes() -> None:
    files = [path for room in ROOMS for path in (JOB_SERVER / room).rglob("*.py")]
    assert files
    places = {str(path.relative_to(JOB_SERVER)): found for path in files if (found := writes(path.read_text()))}
    assert places == {}, "call a function of carrel.jobserver.service"


def test_writes_are_seen() -> None:
    text = "Job.objects.create(a=1)\nrow.save()\nJob.objects.filter(a=1).update(b=2)\n{}.update(c=3)\n"
    assert writes(text) == ["Job.objects.create", "row.save", "Job.objects.filter(a=1).update"]

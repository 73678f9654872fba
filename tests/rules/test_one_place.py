"""What `units` does for all is done nowhere else: locks, files that are replaced as a whole, YAML, lazy commands."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "carrel"

RENAMES = {
    "units/files.py": "the one place",
    "agent/folder.py:AttemptFolder.remove": "a folder goes out of sight before it is removed",
    "controller/management/commands/snapshot_database.py:take_snapshot": "SQLite writes the copy itself, over minutes",
    "executors/state_folders.py:SupervisedProcess.remove": "a folder goes out of sight before it is removed",
    "executors/state_folders.py:create": "a folder appears whole",
    "executors/supervisor.py": "runs alone, by its text or byte code, beside a job: it can import nothing of Carrel",
    "executors/toolchains.py:_point": "a symbolic link is replaced",
    "ingest/operations/export_folders.py:ExportFolder.finish": "folders of files that are durable already",
    "ingest/store/storage.py:LocalStorage.put_file": "a file that others wrote, whole, becomes a key",
    "outputs/journal.py": "many files at once, by a journal that a restart finishes or undoes",
    "outputs/targets.py": "many files at once, by a journal that a restart finishes or undoes",
    "repos/mirrors.py": "folders appear whole",
    "site/processes.py:Process.start": "a log is put aside",
}
"""Where else something is renamed, and why `write_atomically` does not serve."""

PYYAML = {
    "units/yaml_documents.py": "the one place",
    "ingest/mapping/yaml_text.py": "only what a scalar means",
}


def scopes(tree: ast.AST, scope: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Every node, with the class and function that it is in."""
    for node in ast.iter_child_nodes(tree):
        is_scope = isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        yield scope, node
        yield from scopes(node, f"{scope}.{node.name}".lstrip(".") if is_scope else scope)


def is_rename(node: ast.AST) -> bool:
    """`os.replace(a, b)`, `os.rename(a, b)`, `path.replace(b)`, `path.rename(b)`; not `text.replace(a, b)`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)) or node.keywords:
        return False
    is_os = isinstance(node.func.value, ast.Name) and node.func.value.id in ("os", "shutil")
    names = ("replace", "rename", "renames", "move") if is_os else ("replace", "rename")
    return node.func.attr in names and (is_os or len(node.args) == 1)


def is_lock(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("flock", "lockf")


def is_fsync(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in ("fsync", "fdatasync")


def is_yaml(node: ast.AST) -> bool:
    modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    return any(module.partition(".")[0] in ("yaml", "ruamel") for module in modules)


def is_group(node: ast.AST) -> bool:
    """A class of commands of its own: `class X(click.Group)`."""
    return isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Group") for base in node.bases)


@functools.cache
def parsed() -> list[tuple[str, list[tuple[str, ast.AST]]]]:
    """Every file of the source, with its nodes."""
    files = sorted(SOURCE.rglob("*.py"))
    return [(str(path.relative_to(SOURCE)), list(scopes(ast.parse(path.read_text())))) for path in files]


def elsewhere(is_it: object, allowed: dict[str, str]) -> tuple[list[str], set[str]]:
    """Where it is done although nothing says why, and the reasons that are for nothing."""
    assert callable(is_it)
    unexplained, used = [], set()
    for name, nodes in parsed():
        for scope, node in nodes:
            if is_it(node):
                reasons = {name, f"{name}:{scope}"} & allowed.keys()
                used |= reasons
                if not reasons:
                    unexplained.append(f"{name}:{scope}:{node.lineno}")  # type: ignore[attr-defined]  # calls have lines
    return unexplained, allowed.keys() - used


@pytest.mark.parametrize(
    ("is_it", "allowed", "instead"),
    [
        (is_rename, RENAMES, "units.files.write_atomically or replacing"),
        (is_fsync, {"units/files.py": "the one place"}, "units.files"),
        (is_lock, {"units/locks.py": "the one place"}, "units.locks"),
        (is_yaml, PYYAML, "units.yaml_documents"),
        (is_group, {"units/lazy_commands.py": "the one place"}, "units.lazy_commands.LazyGroup"),
    ],
)
def test_it_is_done_in_one_place(is_it: object, allowed: dict[str, str], instead: str) -> None:
    unexplained, unused = elsewhere(is_it, allowed)
    assert unexplained == [], f"use {instead}, or say here why it does not serve"
    assert unused == set(), "a reason for nothing: take it out"


@pytest.mark.parametrize(
    ("is_it", "code", "expected"),
    [
        (is_rename, "os.replace(a, b)", True),
        (is_rename, "path.replace(target)", True),
        (is_rename, "folder.rename(other)", True),
        (is_rename, "shutil.move(a, b)", True),
        (is_rename, "text.replace('a', 'b')", False),
        (is_rename, "moment.replace(tzinfo=None)", False),
        (is_lock, "fcntl.flock(file, fcntl.LOCK_EX)", True),
        (is_fsync, "os.fsync(fd)", True),
        (is_yaml, "import yaml", True),
        (is_yaml, "from yaml import safe_load", True),
        (is_group, "class A(click.Group): pass", True),
        (is_group, "class A(Base): pass", False),
    ],
)
def test_the_rules_can_fail(is_it: object, code: str, expected: bool) -> None:
    assert callable(is_it)
    assert any(is_it(node) for _, node in scopes(ast.parse(code))) is expected

"""The language and the grain of the house: bounds on what makes code hard to read (CONTRIBUTING.md, "House rules").

Each bound is a budget for the whole house, not a ban: there are a few short helpers whose name is worth more than
their lines, and words such as `found` that tell something in their place.
"""

import ast
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "carrel"
MAX_CLASSES_NAMED_TWICE = 8
MAX_SHORT_HELPERS = 60
MAX_FILLER_SHARE = 0.01
SHORT = 4
"""Lines of a function's body, without its docstring."""
FILLER = frozenset(["each", "found", "made", "held", "left", "kept", "wanted", "known", "place", "told", "gone"])
"""Words that say how the code came by a value and not what the value is."""
DJANGOS = {"Command", "Meta"}
"""Class names that Django asks for."""

Modules = dict[str, ast.Module]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules_of_carrel() -> Modules:
    paths = [path for path in SOURCE.rglob("*.py") if "migrations" not in path.parts]
    assert len(paths) > 300
    return {str(path.relative_to(SOURCE)): ast.parse(path.read_text()) for path in paths}


def classes_named_twice(modules: Modules) -> dict[str, list[str]]:
    """Public class names that more than one module defines, and those modules."""
    modules_by_class = defaultdict(list)
    for path, module in modules.items():
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and node.name not in DJANGOS:
                modules_by_class[node.name].append(path)
    return {name: paths for name, paths in modules_by_class.items() if len(paths) > 1}


def short_helpers(modules: Modules) -> list[str]:
    """Private functions and methods of at most SHORT lines that their module names in one place only."""
    return [
        f"{path}:{function.lineno} {function.name}"
        for path, module in modules.items()
        for references in [Counter(_names_read(module))]
        for function in _private_functions(module)
        if not function.decorator_list and references[function.name] == 1 and _lines(function) <= SHORT
    ]


def _names_read(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id


def _private_functions(module: ast.Module) -> Iterator[Function]:
    for node in ast.walk(module):
        if isinstance(node, Function) and node.name.startswith("_") and not node.name.startswith("__"):
            yield node


def _lines(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def bindings(modules: Modules) -> Iterator[tuple[str, str]]:
    """Each name that is bound to a value (assigned, looped over, an argument), with its place in the code."""
    for path, module in modules.items():
        for node in ast.walk(module):
            match node:
                case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                    if name not in ("self", "cls", "_"):
                        yield name, f"{path}:{node.lineno} {name}"


def fillers(bound: Iterable[tuple[str, str]]) -> list[str]:
    return [position for name, position in bound if name in FILLER]


def test_a_class_name_means_one_thing() -> None:
    assert len(named_twice := classes_named_twice(modules_of_carrel())) <= MAX_CLASSES_NAMED_TWICE, named_twice


def test_a_helper_has_a_second_caller_or_more_than_a_few_lines() -> None:
    assert len(helpers := short_helpers(modules_of_carrel())) <= MAX_SHORT_HELPERS, "\n".join(helpers)


def test_variables_say_what_they_hold() -> None:
    bound = list(bindings(modules_of_carrel()))
    assert len(fillers(bound)) / len(bound) < MAX_FILLER_SHARE, "\n".join(fillers(bound))


@pytest.fixture
def planted() -> Modules:
    """Two modules, each with a fault of each kind."""
    one = '''
class Record: ...

def run(paths):
    for each in paths:
        print(_name(each))
    return _used_twice() + _used_twice()

def _name(path):
    """Of four lines at most."""
    return path

def _used_twice():
    return 1
'''
    other = """
class Record:
    def run(self, wanted):
        return self._long(wanted)

    def _long(self, path):
        a = path
        b = a
        c = b
        d = c
        return d

class _Private: ...
"""
    return {"one.py": ast.parse(one), "other.py": ast.parse(other)}


def test_the_measures_see_each_kind(planted: Modules) -> None:
    assert classes_named_twice(planted) == {"Record": ["one.py", "other.py"]}
    assert short_helpers(planted) == ["one.py:9 _name"]
    assert fillers(bindings(planted)) == ["one.py:5 each", "other.py:3 wanted"]

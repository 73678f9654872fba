"""A YAML file that one pydantic model describes, with the place of each mistake: notes on data, a backend's policy."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from carrel.project.document import resolve
from carrel.project.problems import Problem, listed, printable, shortened
from carrel.units.limits import MIB
from carrel.units.yaml_documents import Path, YamlDocument, YamlFault

MAX_DEPTH: Final = 20

Model = TypeVar("Model", bound=BaseModel)


class ModelFileError(Exception):
    """The file cannot be used; `problems` says where and why, and so does the text."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(listed(problems))
        self.problems = problems


class ModelFile(Generic[Model]):
    """What a file says (`value`), and where in it each key stands."""

    def __init__(self, model: type[Model], text: str, filename: str, *, rule: str, max_bytes: int) -> None:
        """Read a text; ModelFileError names every mistake in it, with its line and column.

        `rule`: what programs call such a mistake.
        """
        self.filename, self.rule = filename, rule
        if len(text) > max_bytes:
            raise ModelFileError([self._problem(f"the file is longer than {max_bytes / MIB:g} MiB", (1, 1))])
        try:
            self.document = YamlDocument(
                text,
                lambda scalar: resolve(scalar.value) if scalar.implicit[0] else scalar.value,  # YAML 1.2
                max_depth=MAX_DEPTH,
                max_expanded=2 * max_bytes,
            )
        except YamlFault as fault:
            raise ModelFileError([self._problem(fault.message, (fault.line, fault.column))]) from None
        problems = [self._problem(fault.message, (fault.line, fault.column)) for _, fault in self.document.duplicates]
        try:
            self.value = model.model_validate({} if self.document.value is None else self.document.value)
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_input=False, include_context=False):
                problems.append(self.at(_said(detail["loc"], detail["msg"]), detail["loc"]))
        if problems:
            raise ModelFileError(problems)

    def at(self, message: str, path: Path, *, key: bool = False) -> Problem:
        """Return a problem of what stands at that path of keys."""
        return self._problem(message, self.document.locate(path, key=key))

    def _problem(self, message: str, position: tuple[int, int]) -> Problem:
        line, column = position
        return Problem(
            message=shortened(printable(message)), line=line, column=column, filename=self.filename, rule=self.rule
        )


def _said(path: tuple[int | str, ...], message: str) -> str:
    keys = [str(key) for key in path if isinstance(key, str)]
    if message.startswith("Extra inputs"):
        return f"`{keys[-1]}` is no key that is known here"
    if message.startswith("Field required"):
        return f"`{keys[-1]}` is missing"
    return f"{keys[-1] if keys else 'the file'}: {message.removeprefix('Value error, ')}"

"""How much of a pool a job takes: the job-resource-weights file (spec: controller.md section 3.4)."""

import configparser
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_SECTION = "default"


class WeightsError(ValueError):
    """The file cannot be used; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of the file: a regular expression of a whole text, and the weight of what matches."""

    regex: re.Pattern[str]
    weight: float


@dataclass(frozen=True, slots=True)
class Weights:
    """A job-resource-weights file, ready to be asked. Sections and patterns keep the file's order."""

    sections: Mapping[str, tuple[Pattern, ...]] = field(default_factory=dict)

    def weight_of(self, workspace: str, action: str, run_command: str) -> float:
        """The first pattern that matches: of the workspace's own on the action's name, then of [default] on the
        run command. 1.0 when none does."""
        if workspace != DEFAULT_SECTION and (weight := self._match(workspace, action)) is not None:
            return weight
        weight = self._match(DEFAULT_SECTION, run_command)
        return 1.0 if weight is None else weight

    def _match(self, section: str, text: str) -> float | None:
        patterns = self.sections.get(section, ())
        return next((pattern.weight for pattern in patterns if pattern.regex.fullmatch(text)), None)


class _CaseSensitiveParser(configparser.RawConfigParser):
    def optionxform(self, optionstr: str) -> str:
        return optionstr


def parse_weights(text: str, filename: str = "job-resource-weights.ini") -> Weights:
    """Read the ini text: a section per workspace (regular expression of the action's whole name = weight), and
    `[default]` (regular expression of the whole run command = weight). `=` is the only delimiter, upper and lower case
    differ. Empty text: every weight is 1.

    Raises WeightsError.
    """
    # No section can have this name, so that none has the special meaning that configparser gives to [DEFAULT].
    parser = _CaseSensitiveParser(delimiters=("=",), default_section="\0")
    try:
        parser.read_string(text, source=filename)
    except configparser.Error as error:
        raise WeightsError(f"{filename} is not a file of [sections] with lines `pattern = weight`: {error}") from error
    sections = {}
    for name in parser.sections():
        lines = parser.items(name)
        sections[name] = tuple(_pattern(f"{filename}: [{name}] {regex}", regex, weight) for regex, weight in lines)
    return Weights(sections)


def _pattern(source: str, regex: str, weight: str) -> Pattern:
    try:
        compiled = re.compile(regex)
    except re.error as error:
        raise WeightsError(f"{source}: not a regular expression: {error}") from error
    try:
        number = float(weight)
    except ValueError:
        raise WeightsError(f"{source}: the weight must be a number, not '{weight}'") from None
    if not (number > 0 and math.isfinite(number)):
        raise WeightsError(f"{source}: the weight must be more than 0, not '{weight}'")
    return Pattern(compiled, number)

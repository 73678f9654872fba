"""Settings of a process, read from its environment: kinds of values, and one error for all that is wrong."""

from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from pydantic_settings import SettingsError as UndecodableSetting

from carrel.units.durations import parse_duration
from carrel.units.sizes import parse_size
from carrel.units.words import list_setting, literally_true, truth_setting


class SettingsError(Exception):
    """A process cannot start as it is configured; the text names the variables, says what to change, and holds no
    secret's value."""


def _duration_setting(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


def _size_setting(value: str) -> str:
    parse_size(value)
    return value


CommaList = Annotated[list[str], NoDecode, BeforeValidator(list_setting)]
"""`a, b`: items between commas."""
Truth = Annotated[bool, BeforeValidator(truth_setting)]
"""`true` or `false`, or another word of truth."""
OnlyTrue = Annotated[bool, BeforeValidator(literally_true)]
"""True for the word `true` alone, which opens a door."""
Seconds = Annotated[float, BeforeValidator(_duration_setting), Field(gt=0)]
"""A length of time: `90`, `30m`, `6h`."""
Size = Annotated[str, BeforeValidator(_size_setting)]
"""A size of memory, kept as it was written: `4G`."""


class EnvironmentSettings(BaseSettings):
    """Each field is set by the variable of its name in capitals; a variable that is empty counts as not set."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)


S = TypeVar("S", bound=BaseSettings)


def read_settings(kind: type[S], prefix: str = "", **values: Any) -> S:
    """Read the settings of this class from the process's environment, where each variable begins with `prefix`.

    `values` go to the class besides. Raises SettingsError that tells of all that is wrong.
    """
    try:
        return kind(_env_prefix=prefix, **values)
    except UndecodableSetting as error:
        raise SettingsError(f"{error}.") from None
    except ValidationError as error:
        # Without the error itself, whose own text shows the values.
        raise SettingsError(f"{'; '.join(_sentences(error, prefix))}.") from None


def _sentences(error: ValidationError, prefix: str) -> list[str]:
    sentences = []
    for problem in error.errors(include_url=False, include_input=False):
        name = prefix + str(problem["loc"][0]).upper() if problem["loc"] else prefix.rstrip("_")
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "missing":
            sentences.append(f"{name} must be set in the environment")
        else:
            sentences.append(f"{name}: {message}" if name else message)
    return sentences

"""JSON bodies: what every database can store, and nothing that is nested too deep to be looked through."""

import json
import math
from typing import Any, NoReturn, cast

from django.http import HttpRequest
from ninja.parser import Parser
from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from carrel.project.problems import did_you_mean
from carrel.units.limits import MAX_JSON_DEPTH
from carrel.units.words import is_storable


class StrictBody(BaseModel):
    """A body of our own API: a key that it does not know is refused, so that a misspelt one changes nothing unseen.

    Bodies of the contract's API and of the first one take any key.
    """

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def name_unknown_keys(cls, body: Any) -> Any:
        """Refuse unknown keys by their names, each with the nearest known one."""
        if unknown := [key for key in body if key not in cls.model_fields] if isinstance(body, dict) else []:
            named = ", ".join(f"`{key[:100]}`{did_you_mean(key, cls.model_fields)}" for key in unknown[:20])
            raise PydanticCustomError("unknown_key", "{words}", {"words": f"There is no {named} here."})
        return body


class BodyError(ValueError):
    """A body cannot be taken; says why, and where."""


class BodyParser(Parser):
    """Reads bodies as UTF-8 JSON (RFC 8259). Raises BodyError."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        return cast(dict[str, Any], read_json(request.body))


def read_json(body: bytes) -> Any:
    """Return the value of a JSON text.

    Raises BodyError for what is none, for NUL and halves of surrogate pairs (PostgreSQL holds neither), for numbers
    that are not finite and for what is nested too deep.
    """
    try:
        value = json.loads(body.decode(), parse_constant=refuse_constant)
        check_storable(value)
    except BodyError:
        raise
    except RecursionError:
        raise BodyError("The body is nested too deep.") from None
    except ValueError as error:
        raise BodyError(f"The body is not JSON in UTF-8: {str(error)[:200]}.") from None
    return value


def check_storable(value: Any, where: str = "body", depth: int = 0) -> None:
    """Raise BodyError where some text or number of a value cannot be stored."""
    if depth > MAX_JSON_DEPTH:
        raise BodyError("The body is nested too deep.")
    if isinstance(value, str) and not is_storable(value):
        raise BodyError(f"{where} holds characters that are not text.")
    if isinstance(value, float) and not math.isfinite(value):
        raise BodyError(f"{where} is a number that is not finite.")
    if isinstance(value, dict):
        for key, inner in value.items():
            check_storable(key, f"a key of {where}", depth)
            check_storable(inner, f"{where}.{key}"[:200], depth + 1)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            check_storable(inner, f"{where}.{number}", depth + 1)


def refuse_constant(name: str) -> NoReturn:
    """Python reads NaN and Infinity, which JSON does not have."""
    raise BodyError(f"{name} is no JSON.")

"""The JSON Schema of project.yaml, for editors (`carrel schema`).

It says what one value can tell by itself. What takes a look at two places of the file, or at the words of a
command, only the loader knows: `ONLY_THE_LOADER` names those rules, and a test holds both to agree on everything
else. It also knows fewer spellings of `version` (`"5e0"` is a number to the loader).
"""

from __future__ import annotations

from typing import Any

from carrel.project.backends import BACKEND_NAME
from carrel.project.constants import (
    GIT_FOLDER,
    KNOWN_VERSIONS,
    LATEST_VERSION,
    LEVEL4_FILE_TYPES,
    LEVELS,
    RESERVED_FOLDERS,
)
from carrel.project.resources import SHAPES
from carrel.units.limits import (
    MAX_ACTION_NAME,
    MAX_ACTIONS,
    MAX_BACKEND_NAME,
    MAX_BACKENDS,
    MAX_CPUS,
    MAX_DURATION_SECONDS,
    MAX_NEEDS,
    MAX_OUTPUT_PATH,
    MAX_OUTPUTS,
    MAX_POPULATION_SIZE,
    MAX_SIZE_BYTES,
    MIN_CPUS,
    MIN_MEMORY_BYTES,
    MIN_TIMEOUT_SECONDS,
)

Schema = dict[str, Any]

ONLY_THE_LOADER = frozenset(
    {
        "yaml",  # syntax, duplicate keys, aliases, size
        "same-run",
        "same-output",
        "unknown-need",
        "self-need",
        "cycle",
        "absent-need",
        "cohort-folders",
        "dataset-output-mismatch",
        "run-quotes",
        "run-impossible",
        "output-file-name",
        "resources-bound",
        "population-text-large",
        "action-twice",
        "output-name-twice",
        "run-on-disagrees",
        "run-on-empty",
        "backend-unknown",
        "side-type",
        "side-key",
        "side-action",
        "side-disagrees",
    }
)
"""Rules (`Problem.rule`) that the schema cannot express."""


def _any_case(word: str) -> str:
    """A regular expression of the word, in letters of any case."""
    return "".join(f"[{sign}{sign.upper()}]" if sign.isalpha() else f"\\{sign}" for sign in word)


_VERSION_TEXT = r"^\s*\+?0*{}(\.0*)?\s*$"
# The first word of a command; one with quotes or back slashes in it is left to the loader.
_IMAGE = r"^\s*([^\s:\"'\\]*:({})(\s|$)|[^\s]*[\"'\\])"
_ANY_TAG = r"v[0-9.]+(-pre)?|dev|latest"
_FIXED_TAG = r"v[0-9.]+(-pre)?|dev"
_DATASET = r"^(ehrql|databuilder):\S+ generate[-_]dataset(\s|$)"
# Not a dataset, or with an --output before any `--`.
_DATASET_OUTPUT = rf"^(?!{_DATASET[1:]})|^((?!\s--\s)[\s\S])*\s[\"']?--output([\"']?\s+|=)\S"
_COHORT = r"^cohortextractor:\S+ generate_cohort(\s|$)"
_PATTERN = (
    r"^(?!/|[A-Za-z]:/|~[^/]*/)"  # absolute, somebody's home
    rf"(?!({'|'.join(map(_any_case, sorted(RESERVED_FOLDERS)))})(/|$))(?!([\s\S]*/)?{_any_case(GIT_FOLDER)}(/|$))"
    r"(?!([\s\S]*/)?\.\.?(/|$))(?![\s\S]*//)"  # standard form, inside of the workspace
    r"(?![\s\S]*[\\?\[])(?![\s\S]*\*\*)"  # wildcards
    r"([\s\S]*/)?[^/]+"
)
_ANY_TYPE = r"\.[^/.]*[^/.*]$"
_NULL: Schema = {"type": "null"}
_BACKEND: Schema = {"pattern": f"^{BACKEND_NAME}$", "maxLength": MAX_BACKEND_NAME}


def json_schema() -> Schema:
    """The schema (draft 2020-12), as a value that JSON can write."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "project.yaml",
        "description": "The actions of a study, the files they make, and where they run.",
        "type": "object",
        "required": ["version", "actions"],
        "additionalProperties": False,
        "properties": {
            "version": _version(),
            "actions": {
                "description": "Steps of the study, by name.",
                "type": "object",
                "maxProperties": MAX_ACTIONS,
                "propertyNames": {"pattern": r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$", "maxLength": MAX_ACTION_NAME},
                "additionalProperties": {"$ref": "#/$defs/action"},
            },
            "expectations": {"description": "Only in version 3."},
            "run_on": {"description": "Backends that the study runs on.", "anyOf": [_NULL, _ref("run_on")]},
        },
        "allOf": [*_version_rules()],
        "$defs": {
            "action": _action(),
            "run": _run(),
            "outputs": _outputs(),
            "run_on": _run_on(),
            "resources": _resources(),
        },
    }


def _version() -> Schema:
    return {
        "description": f"Version of the format; the latest is {LATEST_VERSION}.",
        "anyOf": [
            {"enum": [int(version) for version in KNOWN_VERSIONS] + [True]},
            {"type": "string", "pattern": _VERSION_TEXT.format(f"[1-{LATEST_VERSION}]")},
        ],
    }


def _from(first: int, last: int = LATEST_VERSION) -> Schema:
    """Matches a project of one of these versions."""
    text = {"type": "string", "pattern": _VERSION_TEXT.format(f"[{first}-{last}]")}
    return {"required": ["version"], "properties": {"version": {"anyOf": [{"enum": [*range(first, last + 1)]}, text]}}}


def _version_rules() -> list[Schema]:
    every_run = {"run": _every_command({"pattern": r"^(?!\s*cohortextractor(:|\s|$))"})}
    no_latest = {"run": _every_command({"pattern": _IMAGE.format(_FIXED_TAG)})}
    return [
        {"if": _from(3, 3), "then": {"required": ["expectations"], "properties": {"expectations": _expectations()}}},
        {"if": _from(4), "then": {"not": {"required": ["expectations"]}}},
        {"if": _from(4), "then": _in_each_action({"properties": every_run})},
        {"if": _from(5), "then": _in_each_action({"properties": no_latest}, {"not": {"const": "run_all"}})},
    ]


def _in_each_action(rule: Schema, names: Schema | None = None) -> Schema:
    actions: Schema = {"additionalProperties": rule}
    if names is not None:
        actions["propertyNames"] = names
    return {"properties": {"actions": actions}}


def _every_command(rule: Schema) -> Schema:
    """Holds for a command, or for each backend's."""
    return {**rule, "additionalProperties": rule}


def _any_command(pattern: str) -> Schema:
    """Matches an action one of whose commands matches."""
    among = {"type": "object", "not": {"additionalProperties": {"not": {"pattern": pattern}}}}
    return {"required": ["run"], "properties": {"run": {"anyOf": [{"type": "string", "pattern": pattern}, among]}}}


def _expectations() -> Schema:
    number = [
        {"type": ["number", "boolean"], "minimum": -MAX_POPULATION_SIZE, "maximum": MAX_POPULATION_SIZE},
        {"type": "string", "pattern": r"^\s*[-+]?[0-9]+(_[0-9]+)*\s*$"},
    ]
    return {
        "type": "object",
        "required": ["population_size"],
        "additionalProperties": False,
        "properties": {"population_size": {"anyOf": number}},
    }


def _action() -> Schema:
    return {
        "type": "object",
        "required": ["run", "outputs"],
        "additionalProperties": False,
        "properties": {
            "run": {"$ref": "#/$defs/run"},
            "outputs": {"$ref": "#/$defs/outputs"},
            "needs": {
                "description": "Actions whose outputs this one reads.",
                "type": ["array", "null"],
                "maxItems": MAX_NEEDS,
                "items": {"type": "string", "pattern": "^[^ ]*$"},
            },
            "config": {"description": "Given to a reusable action as --config.", "type": ["object", "null"]},
            "dummy_data_file": {"type": ["string", "null"]},
            "run_on": {"description": "Backends that this action exists on.", "anyOf": [_NULL, _ref("run_on")]},
            "resources": {"anyOf": [_NULL, _ref("resources")]},
        },
        "allOf": _generator_rules(),
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _generator_rules() -> list[Schema]:
    empty = {"maxProperties": 0}
    only_highly = {"moderately_sensitive": empty, "minimally_sensitive": empty}
    with_output = _every_command({"pattern": _DATASET_OUTPUT})
    return [
        {"if": _any_command(_DATASET), "then": {"properties": {"outputs": {"properties": only_highly}}}},
        {"properties": {"run": with_output}},
        {"if": _any_command(_COHORT), "then": {"properties": {"outputs": {"maxProperties": 1}}}},
    ]


def _run() -> Schema:
    command = {"type": "string", "pattern": _IMAGE.format(_ANY_TAG)}
    return {
        "description": "image:version and its arguments; or one such command for each backend.",
        "anyOf": [
            command,
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": MAX_BACKENDS,
                "propertyNames": _BACKEND,
                "additionalProperties": command,
            },
        ],
    }


def _outputs() -> Schema:
    level4 = "|".join(sorted(suffix.removeprefix(".") for suffix in LEVEL4_FILE_TYPES))
    types = dict.fromkeys(LEVELS, _ANY_TYPE) | {"moderately_sensitive": rf"\.({level4})$"}
    return {
        "description": "Files the action makes, by how sensitive they are.",
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {
            level: {
                "type": "object",
                "maxProperties": MAX_OUTPUTS,
                "propertyNames": {"maxLength": MAX_ACTION_NAME},
                "additionalProperties": {
                    "type": "string",
                    "pattern": _PATTERN + file_type,
                    "maxLength": MAX_OUTPUT_PATH,
                },
            }
            for level, file_type in types.items()
        },
    }


def _run_on() -> Schema:
    name = {"type": "string", **_BACKEND}
    names = {"type": "array", "minItems": 1, "maxItems": MAX_BACKENDS, "items": name}
    exclude = {
        "type": "object",
        "required": ["exclude"],
        "additionalProperties": False,
        "properties": {"exclude": names},
    }
    return {"anyOf": [names, exclude]}


def _resources() -> Schema:
    def amount(key: str, least: float, most: float) -> Schema:
        text = {"type": "string", "pattern": rf"^\s*{SHAPES[key]}\s*$"}
        return {"anyOf": [_NULL, {"type": "number", "minimum": least, "maximum": most}, text]}

    return {
        "description": "What the action asks for; the backend's limits cap it.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "cpus": {"type": ["number", "null"], "minimum": MIN_CPUS, "maximum": MAX_CPUS},
            "memory": amount("memory", MIN_MEMORY_BYTES, MAX_SIZE_BYTES),
            "timeout": amount("timeout", MIN_TIMEOUT_SECONDS, MAX_DURATION_SECONDS),
        },
    }

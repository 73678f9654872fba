"""The published JSON Schema is the one that is made, and agrees with the loader on every file of the tests."""

import json
from pathlib import Path

import jsonschema
import pytest
from tests.project.cases import CASES, Case

from carrel.project import ProjectValidationError, load_pipeline
from carrel.project.document import Document
from carrel.project.schema import ONLY_THE_LOADER, json_schema

ROOT = Path(__file__).parents[2]
STUDIES = sorted((Path(__file__).parent / "studies").glob("*.yaml"))
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def complaints(text: str) -> list[str]:
    """What the schema has against a file, read as an editor does: through JSON, where every key is text."""
    value = json.loads(json.dumps(Document(text, "x").value))
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(value)]


def test_the_published_schema_is_the_one_that_is_made() -> None:
    published = ROOT / "docs" / "reference" / "project.schema.json"
    assert published.read_text(encoding="utf-8") == json.dumps(json_schema(), indent=2) + "\n"


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_what_the_loader_accepts_the_schema_accepts(path: Path) -> None:
    assert complaints(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("case", [case for case in CASES if case.rule != "yaml"], ids=lambda case: case.name)
def test_what_the_loader_refuses_the_schema_refuses(case: Case) -> None:
    with pytest.raises(ProjectValidationError) as caught:
        load_pipeline(case.text)
    expressible = {problem.rule for problem in caught.value.problems} - ONLY_THE_LOADER
    assert bool(complaints(case.text)) == bool(expressible)


RUN_ON = "version: 5\n{}\nactions: {{a: {{run: {}, outputs: {{highly_sensitive: {{x: x.csv}}}}{}}}}}\n"
COMMAND = "'r:v1 a'"


@pytest.mark.parametrize(
    ("study", "run", "more"),
    [
        *((f"run_on: {text}", COMMAND, "") for text in ("[tpp]", "{exclude: [tpp]}", "tpp", "[]", "[5]", "['a b']")),
        *((f"run_on: {text}", COMMAND, "") for text in ("~", "{only: [tpp]}", "{exclude: []}", "{exclude: tpp}")),
        *(("", run, "") for run in ("{tpp: 'r:v1 a'}", "{}", "{tpp: [a]}", "{tpp: r a}", "{'a b': 'r:v1 a'}")),
        *(("", run, "") for run in ("{tpp: 'r:latest a'}", "{tpp: 'cohortextractor:v1 a'}", "{tpp: ''}")),
        ("", "{tpp: 'ehrql:v1 generate-dataset --output x.csv', emis: 'ehrql:v1 generate-dataset'}", ""),
        ("", "{tpp: 'ehrql:v1 generate-dataset --output x.csv', emis: 'ehrql:v1 generate-dataset --output=x.csv'}", ""),
        *(("", COMMAND, f", run_on: {text}") for text in ("[tpp]", "tpp", "{exclude: [emis]}")),
        *(("", COMMAND, f", resources: {text}") for text in ("{}", "~", "[]", "{cpu: 1}", "{cpus: ~}")),
        *(("", COMMAND, f", resources: {{cpus: {text}}}") for text in ("1", "0.5", "0", "-1", "true", "two")),
        *(("", COMMAND, f", resources: {{memory: {text}}}") for text in ("1", "8G", "1.5 GiB", "0", "0G", "8X", "[]")),
        *(("", COMMAND, f", resources: {{timeout: {text}}}") for text in ("1", "6h", "1h 30m", "0", "0s", "'6'", "m")),
    ],
)  # fmt: skip
def test_they_agree_on_what_carrel_adds(study: str, run: str, more: str) -> None:
    text = RUN_ON.format(study, run, more)
    try:
        load_pipeline(text, default_backends=["tpp", "emis"])
        refused = False
    except ProjectValidationError as error:
        refused = any(problem.rule not in ONLY_THE_LOADER for problem in error.problems)
    assert bool(complaints(text)) == refused

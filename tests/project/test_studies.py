"""Studies of the shapes that are out there are accepted, and mean what they should."""

import io
from pathlib import Path

import pytest

from carrel.project import (
    LEVEL4_FILE_TYPES,
    Pipeline,
    ProjectValidationError,
    get_all_output_patterns_from_project_file,
    is_database_action,
    load_pipeline,
)

STUDIES = sorted((Path(__file__).parent / "studies").glob("*.yaml"))


def study(name: str) -> Pipeline:
    return load_pipeline(Path(__file__).parent / "studies" / f"{name}.yaml")


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_study_is_accepted(path: Path) -> None:
    pipeline = load_pipeline(path)
    assert f"{pipeline.version:g}" in path.stem.partition("-")[0] or path.stem.startswith("backends")
    for backend in pipeline.run_on:
        assert pipeline.for_backend(backend).backend == backend


def test_there_are_enough_of_them() -> None:
    assert len(STUDIES) > 30


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_only_old_versions_and_doubtful_things_warn(path: Path) -> None:
    rules = {warning.rule for warning in load_pipeline(path).warnings}
    expected = set() if path.stem.startswith(("v5", "backends")) else {"version-old"}
    expected |= {"run-all-defined"} if path.stem in ("v3-population-text", "v4-run-all-defined") else set()
    expected |= {"dataset-unchecked", "rows-moderately"} if path.stem == "v5-spacing-not-checked" else set()
    expected |= {"backend-elsewhere"} if path.stem == "backends-elsewhere" else set()
    assert rules == expected


def test_an_action_in_full() -> None:
    action = study("v5-ehrql-r-stata").actions["regress"]
    assert action.action_id == "regress"
    assert action.run.raw == 'stata-mp:v1 analysis/regress.do "output/processed" 2020-03-01'
    assert action.run.parts == ["stata-mp:v1", "analysis/regress.do", "output/processed", "2020-03-01"]
    assert (action.run.name, action.run.version) == ("stata-mp", "v1")
    assert action.run.args == "analysis/regress.do output/processed 2020-03-01"
    assert action.needs == ["clean", "generate_dataset"]
    assert (action.config, action.dummy_data_file, action.is_database_action) == (None, None, False)
    assert len(action.outputs) == 2
    assert list(action.outputs.dict().items()) == [
        ("highly_sensitive", {"ster": "output/models/*.ster"}),
        ("moderately_sensitive", {"log": "logs/regress.log", "estimates": "output/models/*.txt"}),
    ]
    assert list(action.outputs.flat().items()) == [
        ("output/models/*.ster", "highly_sensitive"),
        ("logs/regress.log", "moderately_sensitive"),
        ("output/models/*.txt", "moderately_sensitive"),
    ]


def test_a_pattern_written_twice_has_its_last_level() -> None:
    text = "version: 1\nactions: {a: {run: 'r:v1 a', outputs: {moderately_sensitive: {x: x.csv}, %s: {x: x.csv}}}}"
    for level, winner in (
        ("highly_sensitive", "moderately_sensitive"),
        ("minimally_sensitive", "minimally_sensitive"),
    ):
        assert load_pipeline(text % level).actions["a"].outputs.flat() == {"x.csv": winner}


def test_names_keep_the_files_order_and_run_all_is_none_of_them() -> None:
    pipeline = study("v4-run-all-defined")
    assert list(pipeline.actions) == ["prepare", "run_all"]
    assert pipeline.all_actions == ["prepare"]
    assert pipeline.action("prepare") is pipeline.actions["prepare"]


def test_an_unknown_action_is_a_users_error_with_a_hint() -> None:
    with pytest.raises(
        ProjectValidationError, match=r"^Action 'prepar' not found in project.yaml \(did you mean `prep"
    ):
        study("v4-run-all-defined").action("prepar")


def test_images() -> None:
    assert study("v3-classic").action_images == {"cohortextractor:v1", "r:v1"}
    assert study("v5-reusable").action_images == {"ehrql:v1", "cox-ipw:v0.0.37", "safetab:v4.0.0"}
    assert study("backends-same-output").action_images == {"python:v2", "r:v2", "stata-mp:v1"}


@pytest.mark.parametrize(
    ("name", "population"),
    [("v1-population", 1000), ("v1-duplicate-outputs", 1000), ("v2-output-dir", 1000), ("v3-population-text", 10000),
     ("v3-config", 1000), ("v4-ehrql", None), ("v5-minimal", None)],
)  # fmt: skip
def test_expectations(name: str, population: int | None) -> None:
    expectations = study(name).expectations
    assert (expectations and expectations.population_size) == population


def test_config_goes_behind_the_command() -> None:
    action = study("v3-config").actions["matching"]
    assert action.config is not None
    assert action.config["matching_variables"] == {"sex": "category", "age": 5}
    assert action.run_command.startswith(
        """matching:v0.0.9 --prefix cases --config '{"cases": "output/input_cases.csv","""
    )
    quoted = load_pipeline(
        "version: 5\nactions: {a: {run: \"x:v1 'b c'\", config: {k: it's}, outputs: {highly_sensitive: {x: x.csv}}}}"
    )
    assert quoted.actions["a"].run_command == """x:v1 'b c' --config '{"k": "it\\u0027s"}'"""


def test_no_config_leaves_the_command_as_written() -> None:
    pipeline = study("v5-empty-optionals")
    assert [action.run_command for action in pipeline.actions.values()] == [
        "python:v2 python a.py",
        "python:v2 python b.py",
    ]
    assert [action.config for action in pipeline.actions.values()] == [None, {}]
    assert pipeline.actions["b"].dummy_data_file == "dummy/b.csv"
    assert pipeline.actions["b"].outputs.dict() == {"moderately_sensitive": {}}
    assert len(pipeline.actions["b"].outputs) == 1


def test_yaml_1_2_words_are_words() -> None:
    pipeline = study("v5-words-of-yaml-1-1")
    assert list(pipeline.actions) == ["no", "on"]
    assert pipeline.actions["on"].config == {
        "start": "2020-01-01",
        "time": "12:30:00",
        "octal": 10,
        "answer": "yes",
        "ratio": 1000.0,
    }


def test_merged_keys() -> None:
    pipeline = study("v5-anchors")
    assert pipeline.actions["derived"].run.args == "python analysis/derived.py"
    assert pipeline.actions["derived"].config == {"seed": 42, "groups": ["age", "sex"]}
    assert pipeline.actions["last"].config == {
        "seed": 42,
        "groups": ["age", "sex"],
        "extra": 1,
        "by": ["age", "sex"],
    }


def test_names_that_are_numbers_are_text() -> None:
    pipeline = study("v5-number-names")
    assert pipeline.all_actions == ["2020", "2021-22"]
    assert pipeline.actions["2020"].outputs.moderately_sensitive == {"1": "output/2020.csv", "2": "output/2020.txt"}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ehrql:v1 generate-dataset x", True), ("ehrql:v1 generate-measures x", True), ("ehrql:v1", False),
        ("ehrql:v1 x generate-dataset", False), ("ehrql:v1 generate_dataset x", False), ("sqlrunner:v1", True),
        ("sqlrunner:v1 x.sql", True), ("cohortextractor:latest generate_cohort", True),
        ("cohortextractor:latest generate_codelist_report", True),
        ("cohortextractor:latest generate_measures", False), ("databuilder:v0 generate-dataset", True),
        ("databuilder:v0 generate-measures", False), ("python:v2 generate-dataset", False),
        ("my-ehrql:v1 generate-dataset", False), ("", False),
    ],
)  # fmt: skip
def test_database_actions(command: str, expected: bool) -> None:
    assert is_database_action(command.split()) is expected


def test_actions_know_whether_they_need_the_database() -> None:
    actions = study("v5-sqlrunner").actions
    assert [action.is_database_action for action in actions.values()] == [True, False]


def test_every_kind_of_source_reads_the_same(tmp_path: Path) -> None:
    text = "version: 5\nactions: {é: {run: 'r:v1 é', outputs: {highly_sensitive: {x: é.csv}}}}".replace("{é:", "{e:")
    file = tmp_path / "project.yaml"
    file.write_text(text, encoding="utf-8")
    sources = [text, text.encode(), "\ufeff" + text, text.encode("utf-8-sig"), file]
    sources += [io.StringIO(text), io.BytesIO(text.encode()), text.replace("\n", "\r\n")]
    first, *others = [load_pipeline(source).actions for source in sources]
    assert all(other == first for other in others)


def test_a_path_names_the_file_in_positions_only(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("version: 5\n")
    with pytest.raises(ProjectValidationError) as caught:
        load_pipeline(file)
    assert str(caught.value).startswith("Invalid project: \nstudy.yaml:1:1: ")


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(ProjectValidationError, match=r"^project.yaml:2:7: the file is not UTF-8 text$"):
        load_pipeline("version: 5\né: caf".encode() + b"\xe9")


@pytest.mark.parametrize("kind", [str.encode, io.StringIO, lambda text: io.BytesIO(text.encode())])
def test_no_more_than_a_megabyte_is_read(kind: object) -> None:
    with pytest.raises(ProjectValidationError, match="the file is larger than 1024 KiB"):
        load_pipeline(kind("# é\n" * 250_000))


def test_all_output_patterns() -> None:
    text = (Path(__file__).parent / "studies" / "v1-duplicate-outputs.yaml").read_text()
    assert get_all_output_patterns_from_project_file(text) == ["output/run.log"]


def test_level_4_file_types() -> None:
    types = ".csv .jpg .jpeg .png .svg .svgz .html .txt .log .json .md"
    assert sorted(LEVEL4_FILE_TYPES) == sorted(types.split())

"""Projects of any shape are read or refused, never anything else; and the schema sees them as the loader does."""

import json
from typing import Any

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from carrel.project import Pipeline, ProjectValidationError, load_pipeline
from carrel.project.schema import ONLY_THE_LOADER, json_schema

VALIDATOR = jsonschema.Draft202012Validator(json_schema())

odd: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 1.5, "", "x", "a b", [], ["x"], [1], {}, {"x": "y"}, {"x": 1}]
)


def mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A good value; one time in ten, any other."""
    return st.integers(0, 9).flatmap(lambda roll: odd if roll == 0 else good)


backends = st.sampled_from(["tpp", "emis", "nowhere", "a b", "b" * 100, "b" * 101])
run_on = st.lists(backends, max_size=2) | st.fixed_dictionaries({"exclude": st.lists(backends, max_size=2)})
images = st.sampled_from(
    ["python:v2", "r:latest", "python", "ehrql:v1", "cohortextractor:v1", "sqlrunner:v1.2-pre", "x:v"]
)
arguments = st.sampled_from(
    ["a.py", "b.py", "generate-dataset", "generate-dataset d.py --output o/x.csv", "generate_cohort --output-dir=o",
     "generate-dataset --output=o:csv", "it's", "'quoted words' #", "generate-dataset -- --output x.csv"]
)  # fmt: skip
commands = st.builds(" ".join, st.tuples(images, arguments))
paths = st.sampled_from(
    ["o/x.csv", "o/y.csv", "x.rds", "../x.csv", "o//x.csv", "o/*", "**.csv", "metadata/x.csv", "/x.csv", "~/x.csv",
     "~x.csv", "o/x", "o\\x.csv", "c:/x.csv", "o/./x.csv", "x.csv.gz", "a?.csv", "metadata2/x.csv", "o/*.c*v", "o/.x",
     ".git/x.csv", "o/.GIT/x.csv", ".staging/x.csv", "o/.staging/x.csv", ".Carrel/x.csv", ".github/x.csv",
     "METADATA/x.csv", "é" * 200 + ".csv", "a/" * 499 + "x.csv", "a/" * 495 + "x.csv"]
)  # fmt: skip
levels = st.sampled_from(["highly_sensitive", "moderately_sensitive", "minimally_sensitive", "secret"])
patterns = st.dictionaries(st.sampled_from(["x", "y", "z", "n" * 200, "n" * 201]), mostly(paths), max_size=2)
amounts = st.one_of(
    st.sampled_from(
        [1, 0.5, "8G", "512M", "6h", "1h30m", "0s", "2", -1, 0.01, 0.009, 10_000, 10_001, 1e-300, 1e308, 10**400,
         "1.5h", "0.5s", " 6h ", "1.5", "0.0s", "367d", "366d", "9" * 400 + "h", "1024T", "1025T", "0.0000001G", " 8G",
         6 * 1024**2, 6 * 1024**2 - 1, 1024**5, 1024**5 + 1, 366 * 86400, 366 * 86400 + 1]
    ),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.from_regex(r"[ ]?[0-9]{1,20}(\.[0-9]{1,3})? ?[kmgthdsi]?[bB]?[ ]?", fullmatch=True),
)  # fmt: skip
resources = st.dictionaries(
    st.sampled_from(["cpus", "memory", "timeout", "gpus"]),
    mostly(amounts),
    max_size=2,
)
actions = st.fixed_dictionaries(
    {
        "run": mostly(commands | st.dictionaries(backends, mostly(commands), max_size=2)),
        "outputs": mostly(st.dictionaries(levels, mostly(patterns), min_size=1, max_size=2)),
    },
    optional={
        "needs": mostly(
            st.lists(mostly(st.sampled_from("abc")), max_size=2) | st.sampled_from([["a"] * 1000, ["a"] * 1001])
        ),
        "config": mostly(st.just({"x": 1})),
        "dummy_data_file": mostly(st.just("dummy.csv")),
        "run_on": mostly(run_on),
        "resources": mostly(resources),
        "extra": odd,
    },
)
populations = st.fixed_dictionaries(
    {
        "population_size": st.sampled_from(
            [10, "10", "1_000", True, 10**9, 10**9 + 1, -(10**9) - 1, 1e300, "9" * 30, "x"]
        )
    }
)
projects = st.fixed_dictionaries(
    {
        "version": mostly(st.sampled_from([1, 2, 3, 4, 5, "5", "5.0", " 4 ", True, 6, 4.5, "five"])),
        "actions": mostly(
            st.dictionaries(
                st.sampled_from(["a", "b", "c", "run_all", ".d", "e f", "n" * 200, "n" * 201]),
                mostly(actions),
                max_size=3,
            )
        ),
    },
    optional={"expectations": mostly(populations), "run_on": mostly(run_on), "extra": odd},
)


def rules(text: str) -> set[str]:
    """Rules that the project breaks."""
    try:
        pipeline = load_pipeline(text, default_backends=["tpp", "emis", "nowhere"])
    except ProjectValidationError as error:
        return {problem.rule for problem in error.problems}
    check(pipeline)
    return set()


def check(pipeline: Pipeline) -> None:
    """What is accepted can be projected, and every need is met in the projection."""
    for backend in pipeline.run_on:
        tree = pipeline.for_backend(backend)
        for action in tree.actions.values():
            assert action.run.parts
            assert all(need in tree.actions for need in action.needs)
        written = [path for action in tree.actions.values() for path in action.outputs.flat()]
        assert pipeline.version < 2 or len(written) == len(set(written))


@settings(max_examples=150)
@given(projects)
def test_read_or_refused_and_as_the_schema_says(project: dict[str, Any]) -> None:
    broken = rules(json.dumps(project))
    if "run-quotes" in broken:  # no words, so the loader cannot say more of that command
        broken |= rules(json.dumps(project).replace("it's", "its"))
    assert VALIDATOR.is_valid(project) == (broken <= ONLY_THE_LOADER)


@settings(max_examples=50)
@given(projects, st.fixed_dictionaries({}, optional={"run_on": mostly(run_on), "actions": mostly(st.dictionaries(
    st.sampled_from("abz"), mostly(st.fixed_dictionaries({}, optional={
        "run": mostly(commands | st.dictionaries(backends, commands, max_size=2)),
        "run_on": mostly(run_on), "resources": mostly(resources), "needs": odd})), max_size=2))}))  # fmt: skip
def test_with_any_side_file(project: dict[str, Any], side: dict[str, Any]) -> None:
    try:
        check(load_pipeline(json.dumps(project), side_file=json.dumps(side)))
        problems = []
    except ProjectValidationError as error:
        problems = [problem.line for problem in error.problems]
    assert set(problems) <= {1}

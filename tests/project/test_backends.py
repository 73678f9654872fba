"""`run_on`, one command for each backend, `resources`, `backends.yaml` and the projection onto one backend."""

from dataclasses import replace

import pytest

from carrel.project import Pipeline, ProjectValidationError, Resources, load_pipeline

TWO = """\
version: '5'
run_on: [tpp, emis]
actions:
  extract:
    run:
      tpp: ehrql:v1 generate-dataset tpp.py --output output/dataset.csv.gz
      emis: ehrql:v1 generate-dataset emis.py --output output/dataset.csv.gz
    outputs: {highly_sensitive: {cohort: output/dataset.csv.gz}}
  sgss:
    run_on: [tpp]
    needs: [extract]
    run: python:v2 python sgss.py
    outputs: {moderately_sensitive: {table: output/sgss.csv}}
    resources: {cpus: 2, memory: 8G, timeout: 6h}
"""

PLAIN = """\
version: '5'
actions:
  a:
    run: r:v2 a.R
    outputs: {highly_sensitive: {x: a.rds}}
  b:
    run: r:v2 b.R
    needs: [a]
    outputs: {highly_sensitive: {x: b.rds}}
"""


def rules(text: str, **options: object) -> list[tuple[str, int, int, str]]:
    with pytest.raises(ProjectValidationError) as caught:
        load_pipeline(text, **options)
    return [(each.rule, each.line, each.column, each.message) for each in caught.value.problems]


def only(text: str, **options: object) -> tuple[str, int, int, str]:
    (found,) = rules(text, **options)
    return found


def warned(pipeline: Pipeline) -> list[tuple[str, int, int, str]]:
    return [(each.rule, each.line, each.column, each.message) for each in pipeline.warnings]


def test_projection_is_a_plain_tree() -> None:
    pipeline = load_pipeline(TWO)
    assert pipeline.run_on == ("tpp", "emis")
    tpp, emis = pipeline.for_backend("tpp"), pipeline.for_backend("emis")
    assert tpp.all_actions == ["extract", "sgss"]
    assert emis.all_actions == ["extract"]
    assert emis.actions["extract"].run.parts[2] == "emis.py"
    assert emis.actions["extract"].commands == {}
    assert (emis.backend, emis.run_on, emis.version) == ("emis", ("emis",), 5.0)
    assert emis.for_backend("emis") is emis
    with pytest.raises(ValueError, match="already projected onto emis"):
        emis.for_backend("tpp")


def test_a_projection_is_what_a_plain_file_gives() -> None:
    plain = load_pipeline(
        TWO.replace("run_on: [tpp, emis]\n", "")
        .replace("    run_on: [tpp]\n", "")
        .replace("    run:\n      tpp: ", "    run: ")
        .replace("      emis: ehrql:v1 generate-dataset emis.py --output output/dataset.csv.gz\n", "")
    )
    projected = load_pipeline(TWO).for_backend("tpp")
    assert {name: replace(action, run_on=plain.actions[name].run_on) for name, action in projected.actions.items()} == (
        plain.actions
    )


def test_a_command_for_each_backend_is_not_one_command() -> None:
    action = load_pipeline(TWO).actions["extract"]
    with pytest.raises(LookupError, match=r"use Pipeline\.for_backend first"):
        _ = action.run
    assert action.is_database_action
    assert list(action.commands) == ["tpp", "emis"]


def test_a_file_that_says_nothing_runs_wherever_it_is_asked_for() -> None:
    pipeline = load_pipeline(PLAIN, default_backends=["north", "south"])
    assert pipeline.run_on == ("north", "south")
    assert pipeline.warnings == ()
    assert load_pipeline(PLAIN).run_on == ("tpp",)
    assert pipeline.for_backend("emis").actions == pipeline.actions


def test_a_study_does_not_run_elsewhere() -> None:
    pipeline = load_pipeline(TWO, "study.yaml")
    assert not pipeline.runs_on("ted")
    with pytest.raises(
        ProjectValidationError, match=r"^Invalid project: study.yaml\nThe study does not run on backend `t"
    ):
        pipeline.for_backend("ted")


@pytest.mark.parametrize(
    ("known", "default", "expected"),
    [(None, ["tpp"], ("tpp",)), (None, ["tpp", "emis"], ("tpp",)), (["tpp", "emis", "ted"], ["tpp"], ("tpp", "ted"))],
)
def test_exclude(known: list[str] | None, default: list[str], expected: tuple[str, ...]) -> None:
    pipeline = load_pipeline("run_on: {exclude: [emis]}\n" + PLAIN, known_backends=known, default_backends=default)
    assert pipeline.run_on == expected
    assert pipeline.runs_on("north")
    assert not pipeline.runs_on("emis")


def test_an_action_may_exclude() -> None:
    text = "run_on: [tpp, emis]\n" + PLAIN.replace("  b:\n", "  b:\n    run_on: {exclude: [emis]}\n")
    pipeline = load_pipeline(text)
    assert pipeline.for_backend("emis").all_actions == ["a"]
    assert pipeline.for_backend("tpp").all_actions == ["a", "b"]


def test_a_study_that_excludes_everything() -> None:
    text = "run_on: {exclude: [tpp]}\n" + PLAIN
    assert only(text)[:3] == ("run-on-empty", 1, 9)


def test_a_need_that_does_not_run_there() -> None:
    text = "run_on: [tpp, emis]\n" + PLAIN.replace("  a:\n", "  a:\n    run_on: [tpp]\n")
    message = "Action `b` runs on emis, but needs `a`, which does not run on emis"
    assert rules(text) == [("absent-need", 10, 13, message)]
    pipeline = load_pipeline(text.replace("run_on: [tpp, emis]", "run_on: [tpp]"))
    assert pipeline.for_backend("tpp").all_actions == ["a", "b"]


def test_other_backends_are_checked_when_they_are_asked_for() -> None:
    text = PLAIN.replace("  a:\n", "  a:\n    run_on: [tpp]\n")
    with pytest.raises(ProjectValidationError) as caught:
        load_pipeline(text, "project.yaml").for_backend("emis")
    assert str(caught.value) == (
        "Invalid project: project.yaml\n"
        "project.yaml:9:13: Action `b` runs on emis, but needs `a`, which does not run on emis"
    )


def test_a_study_that_forgot_to_say_where_it_runs() -> None:
    text = PLAIN.replace("run: r:v2 a.R", "run: {north: 'r:v2 a.R', south: 'r:v2 south.R'}")
    rule, _, _, message = only(text)
    assert rule == "absent-need"
    assert message.endswith(
        "does not run on tpp (the study runs there because it has no `run_on` of its own: say where it runs)"
    )
    assert load_pipeline(text, default_backends=["north", "south"]).warnings == ()


def test_rules_hold_on_each_backend_by_itself() -> None:
    apart = PLAIN.replace("b.R", "a.R").replace("b.rds", "a.rds").replace("    needs: [a]\n", "")
    apart = "run_on: [tpp, emis]\n" + apart.replace("  a:\n", "  a:\n    run_on: [tpp]\n")
    apart = apart.replace("  b:\n", "  b:\n    run_on: [%s]\n")
    assert load_pipeline(apart % "emis").warnings == ()
    assert [found[0::3] for found in rules(apart % "tpp, emis")] == [
        ("same-run", "Action b has the same 'run' command as other actions: a (on tpp)"),
        ("same-output", "Output path a.rds is not unique (on tpp)"),
    ]


def test_what_is_wrong_everywhere_names_no_backend() -> None:
    text = "run_on: [tpp, emis]\n" + PLAIN.replace("b.rds", "a.rds").replace(
        "  a:\n", "  a:\n    run_on: [tpp, emis]\n"
    )
    assert only(text)[3] == "Output path a.rds is not unique"


def test_the_same_command_of_two_actions_on_one_backend() -> None:
    text = "run_on: [tpp, emis]\n" + PLAIN.replace("run: r:v2 b.R", "run: {tpp: 'r:v2 a.R', emis: 'r:v2 b.R'}")
    assert only(text) == ("same-run", 8, 16, "Action b has the same 'run' command as other actions: a (on tpp)")


def test_rules_of_a_command_hold_for_each_backends() -> None:
    assert only(TWO.replace("emis.py --output output/dataset.csv.gz", "emis.py"))[:3] == (
        "dataset-output-missing",
        7,
        13,
    )
    assert only(TWO.replace("emis: ehrql:v1", "emis: ehrql:latest"))[:3] == ("latest", 7, 13)
    assert only(TWO.replace("emis: ehrql:v1", "emis: ehrql"))[:3] == ("run-version", 7, 13)
    found = only(TWO.replace("emis: ehrql:v1 generate-dataset emis.py --output output/dataset.csv.gz", "emis: [x]"))
    assert found[:3] == ("run-backend-type", 7, 13)


def test_no_command_at_all() -> None:
    assert only(PLAIN.replace("run: r:v2 b.R", "run: {}"))[:3] == ("run-empty", 7, 10)


@pytest.mark.parametrize("written", ["tpp", "{only: [tpp]}", "[]", "{exclude: tpp}", "{exclude: []}", "5"])
def test_shape_of_run_on(written: str) -> None:
    rule, line, _, message = only(f"run_on: {written}\n{PLAIN}")
    assert (rule, line) == ("run-on-type", 1)
    assert "must be a list of backends, e.g. [tpp, emis], or {exclude: [emis]}" in message


def test_no_more_than_a_hundred_backends() -> None:
    hundred = [f"b{n}" for n in range(100)]
    assert len(load_pipeline(f"run_on: [{', '.join(hundred)}]\n{PLAIN}").run_on) == 100
    found = only(f"run_on: [{', '.join([*hundred, 'b'])}]\n{PLAIN}")
    assert found == ("run-on-type", 1, 9, "`run_on` of the project names more than 100 backends")


def test_names_of_backends() -> None:
    assert rules(f"run_on: [tpp, 'a b', 3]\n{PLAIN}")[:2] == [
        ("backend-name", 1, 15, "`run_on` of the project has 'a b', which is not a name of a backend"),
        ("backend-name", 1, 22, "`run_on` of the project has 3, which is not a name of a backend"),
    ]
    found = rules(PLAIN.replace("run: r:v2 b.R", "run: {'a b': 'r:v2 b.R'}"))
    assert found[0] == ("backend-name", 7, 11, "`run` section for action b has 'a b', which is not a name of a backend")


def test_no_run_on_is_as_none() -> None:
    assert load_pipeline("run_on:\n" + PLAIN).run_on == ("tpp",)


def test_run_and_run_on_may_not_disagree() -> None:
    text = TWO.replace("  extract:\n", "  extract:\n    run_on: [tpp, ted]\n").replace("run_on: [tpp, emis]\n", "")
    assert rules(text) == [
        ("run-on-disagrees", 4, 13, "Action extract runs on ted by its `run_on`, but its `run` has no command for ted"),
        ("run-on-disagrees", 7, 7, "Action extract has a command for emis, but its `run_on` leaves emis out"),
    ]


def test_unknown_backends_are_errors_where_there_is_a_list() -> None:
    assert rules(TWO.replace("emis", "emsi"), known_backends=["tpp", "emis"]) == [
        ("backend-unknown", 2, 15, "Backend `emsi` does not exist here (did you mean `emis`?)")
    ]
    text = PLAIN.replace("  b:\n", "  b:\n    run_on: [tpp, nowhere]\n")
    assert only(text, known_backends=["tpp"]) == (
        "backend-unknown",
        7,
        19,
        "Backend `nowhere` does not exist here",
    )


def test_unknown_backends_are_warnings_on_a_laptop() -> None:
    pipeline = load_pipeline(TWO.replace("emis", "north"))
    assert warned(pipeline) == [("backend-unknown", 2, 15, "Backend `north` is not one we have heard of")]
    assert load_pipeline(TWO.replace("emis", "north"), default_backends=["north"]).warnings == ()
    excluded = load_pipeline("run_on: {exclude: [emsi]}\n" + PLAIN)
    assert warned(excluded) == [
        ("backend-unknown", 1, 20, "Backend `emsi` is not one we have heard of (did you mean `emis`?)")
    ]


def test_an_action_for_backends_where_the_study_does_not_run() -> None:
    pipeline = load_pipeline(TWO.replace("run_on: [tpp, emis]", "run_on: [tpp]"))
    message = "Action extract names backend emis, where the study does not run by its `run_on`"
    assert warned(pipeline) == [("backend-elsewhere", 7, 7, message)]


def test_a_backend_where_nothing_runs() -> None:
    text = "run_on: [tpp, emis]\n" + PLAIN.replace("    run: r", "    run_on: [tpp]\n    run: r")
    assert warned(load_pipeline(text)) == [
        ("backend-idle", 1, 9, "No action runs on backend emis, though the study does")
    ]


# resources


def test_resources() -> None:
    assert load_pipeline(TWO).actions["sgss"].resources == Resources(2.0, 8 * 1024**3, 6 * 3600.0, "8G")
    assert load_pipeline(TWO).actions["extract"].resources == Resources()
    assert load_pipeline(TWO.replace("memory: 8G", "memory: ")).actions["sgss"].resources.memory is None


@pytest.mark.parametrize(
    ("key", "written", "words"),
    [
        *(("cpus", text, "must be a number from 0.01 to 10000") for text in ("0", "-1", "two", "true", ".inf", "'2'")),
        *(("memory", text, "must be a size, e.g. 8G") for text in ("0", "0G", "-8G", "8X", "lots", "[8]", "true", "G")),
        *(("timeout", text, "must be a length of time") for text in ("0s", "6", "h", "1m2h", "forever", "''", ".nan")),
    ],
)  # fmt: skip
def test_resources_that_make_no_sense(key: str, written: str, words: str) -> None:
    written = f"'{written}'" if written in ("6", "h") else written
    rule, line, column, message = only(TWO.replace("{cpus: 2, memory: 8G, timeout: 6h}", f"{{{key}: {written}}}"))
    assert (rule, line, column) == ("resources-value", 14, 19 + len(key))
    assert message.startswith(f"`{key}` in `resources` section for action sgss {words}")


def test_resources_of_a_wrong_shape() -> None:
    assert only(TWO.replace("{cpus: 2, memory: 8G, timeout: 6h}", "[2]"))[:3] == ("resources-type", 14, 16)
    found = only(TWO.replace("cpus", "cpu"))
    assert found == (
        "unexpected-keys",
        14,
        17,
        "Unexpected parameters (cpu) in `resources` section for action sgss (did you mean cpu: `cpus`?)",
    )


# backends.yaml

SIDE = """\
run_on: [tpp, emis]
actions:
  a:
    run: {tpp: r:v2 a.R, emis: r:v2 emis.R}
    resources: {memory: 8G}
  b:
    run_on: [tpp]
"""


def test_the_side_file_says_the_same_as_the_keys_would() -> None:
    beside = load_pipeline(PLAIN, side_file=SIDE)
    inside = load_pipeline(
        "run_on: [tpp, emis]\n"
        + PLAIN.replace(
            "run: r:v2 a.R", "run: {tpp: r:v2 a.R, emis: r:v2 emis.R}\n    resources: {memory: 8G}"
        ).replace("  b:\n", "  b:\n    run_on: [tpp]\n")
    )
    assert beside.actions == inside.actions
    assert (beside.run_on, beside.where) == (inside.run_on, inside.where)
    assert beside.warnings == ()


def test_an_empty_side_file_says_nothing() -> None:
    assert load_pipeline(PLAIN, side_file="# nothing\n") == load_pipeline(PLAIN)
    assert load_pipeline(PLAIN, side_file="actions:\n") == load_pipeline(PLAIN)
    assert load_pipeline(PLAIN, side_file=b"actions: {}\n") == load_pipeline(PLAIN)


def test_both_files_may_say_the_same() -> None:
    project = TWO.replace("8G", "8192M")
    side = "run_on: [emis, tpp]\nactions: {sgss: {run_on: [tpp], resources: {timeout: 360m, memory: 8G, cpus: 2.0}}}"
    assert load_pipeline(project, side_file=side).run_on == ("emis", "tpp")
    excluding = "run_on: {exclude: [emis, ted]}\n"
    assert load_pipeline(excluding + PLAIN, side_file="run_on: {exclude: [ted, emis]}").run_on == ("tpp",)


@pytest.mark.parametrize(
    ("side", "at", "words"),
    [
        ("run_on: [tpp]", (1, 9), "`run_on` says something else than in project.yaml: say it in one file"),
        ("actions: {sgss: {run_on: [emis]}}", (1, 26), "`run_on` of action sgss says something else"),
        ("actions: {sgss: {resources: {cpus: 3}}}", (1, 29), "`resources` of action sgss says something else"),
        ("actions: {sgss: {run: {tpp: 'r:v1 x'}}}", (1, 23), "name the backend which that command is for, too"),
        ("actions: {sgss: {run: 'r:v1 x'}}", (1, 23), "`run` of action sgss says something else"),
        ("actions: {extract: {run: {tpp: 'r:v1 x'}}}", (1, 26), "`run` of action extract says something else"),
    ],
)
def test_both_files_may_not_say_different_things(side: str, at: tuple[int, int], words: str) -> None:
    with pytest.raises(ProjectValidationError) as caught:
        load_pipeline(TWO, side_file=side)
    problem = next(each for each in caught.value.problems if each.rule == "side-disagrees")
    assert words in problem.message
    assert (problem.filename, problem.line, problem.column) == ("backends.yaml", *at)


@pytest.mark.parametrize(
    ("side", "rule", "at", "words"),
    [
        ("[tpp]", "side-type", (1, 1), "must be a dictionary of key/value pairs"),
        ("actions: [a]", "side-type", (1, 10), "`actions` must be a dictionary"),
        ("actions: {a: tpp}", "side-type", (1, 14), "Configuration for action a must be a dictionary"),
        ("version: 5", "side-key", (1, 1), "`version` may not stand in this file, only run_on, actions"),
        ("actions: {a: {run-on: [tpp]}}", "side-key", (1, 15), "(did you mean `run_on`?)"),
        ("actions: {c: {run_on: [tpp]}}", "side-action", (1, 11), "Action `c` is not in project.yaml"),
        ("actions: {a: {run_on: tpp}}", "run-on-type", (1, 23), "must be a list of backends"),
        ("actions: {a: {resources: {cpus: 0}}}", "resources-value", (1, 33), "must be a number from 0.01 to 10000"),
        ("run_on: [tpp, 'a b']", "backend-name", (1, 15), "is not a name of a backend"),
        ("run_on: [tpp]\nrun_on: [tpp]", "yaml", (2, 1), 'found duplicate key "run_on"'),
        ("run_on: [", "yaml", (2, 1), "did not find expected node"),
    ],
)
def test_mistakes_in_the_side_file_are_placed_in_it(side: str, rule: str, at: tuple[int, int], words: str) -> None:
    with pytest.raises(ProjectValidationError) as caught:
        load_pipeline(PLAIN, side_file=side)
    problem = caught.value.problems[0]
    assert words in problem.message
    assert (problem.rule, problem.filename, problem.line, problem.column) == (rule, "backends.yaml", *at)


def test_side_commands_replace_the_plain_one() -> None:
    """What other OpenSAFELY tools run is the plain command, which must be one of the table's."""
    pipeline = load_pipeline(PLAIN, side_file=SIDE)
    assert pipeline.for_backend("tpp").actions["a"].run.raw == "r:v2 a.R"
    assert pipeline.for_backend("emis").actions["a"].run.raw == "r:v2 emis.R"


def test_a_project_file_that_cannot_be_laid_over_is_told_alone() -> None:
    assert only("version: 5\nactions: []\n", side_file=SIDE)[0] == "actions-type"
    assert only("version: 5\nactions: {a: x}\n", side_file="actions: {a: {run_on: [tpp]}}")[0] == "action-type"

"""Every message of the contract (project-yaml.md 1.2 to 1.5), and every message that is Carrel's own."""

import pytest
from tests.project.cases import CASES, Case

from carrel.project import Problem, ProjectValidationError, load_pipeline
from carrel.project.findings import Findings


def refusal(text: str, **options: object) -> ProjectValidationError:
    with pytest.raises(ProjectValidationError) as caught:
        load_pipeline(text, **options)
    return caught.value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refusal_says_what_and_where(case: Case) -> None:
    problem = refusal(case.text).problems[0]
    assert case.message in problem.message
    assert (problem.rule, problem.line, problem.column) == (case.rule, *case.at)
    assert problem.severity == "error"


def test_the_first_line_is_the_contracts() -> None:
    error = refusal("version: 5\nactions: []\n", filename="study/project.yaml")
    assert str(error) == (
        "Invalid project: study/project.yaml\n"
        "study/project.yaml:2:10: `actions` section of the project must be a dictionary of key/value pairs"
    )
    assert str(refusal("version: 5\nactions: []\n")).startswith("Invalid project: \nproject.yaml:2:10: ")


def test_what_yaml_refuses_has_no_such_prefix() -> None:
    assert str(refusal("a: 1\na: 2\n")).startswith('project.yaml:2:1: found duplicate key "a" with value "2"')


def test_every_problem_is_found_and_the_contracts_come_first() -> None:
    text = """\
version: 5
tests: 1
actions:
  bad name:
    run: python:v2 python one.py
    outputs: {highly_sensitive: {x: ../x.csv}}
    needs: [bad name, other]
  b:
    run: python:2 python two.py
    outputs: {moderately_sensitive: {x: /x.rds, y: y.csv}}
"""
    found = [(problem.line, problem.rule) for problem in refusal(text).problems]
    assert found == [
        (2, "unexpected-keys"),
        (7, "need-space"),
        (10, "output-path"),
        (9, "run-version"),
        (7, "unknown-need"),
        (4, "action-name"),
        (6, "output-outside"),
    ]


def test_all_duplicate_keys_and_the_rules_besides() -> None:
    problems = refusal("version: 5\nactions: {}\nactions: {}\nversion: {a: 1}\nmore: 1\n").problems
    assert [problem.message for problem in problems] == [
        'found duplicate key "actions" with value "{}"',
        """found duplicate key "version" with value "{'a': 1}\"""",
        "Unexpected parameters (more) in project",
    ]


def test_values_in_messages_are_cut() -> None:
    problem = refusal(f"a: 1\na: {'x' * 1000}\n").problems[0]
    assert len(problem.message) < 150


def test_thousands_of_mistakes_are_all_found_and_not_all_printed() -> None:
    actions = "".join(
        f"  action_{n}: {{run: 'r:v2 {n}', outputs: {{highly_sensitive: {{x: {n}.x}}}}, needs: [actoin_{n}]}}\n"
        for n in range(3000)
    )
    error = refusal(f"version: 5\nactions:\n{actions}")
    assert len(error.problems) == 3000
    assert error.problems[0].message.endswith("(did you mean `action_0`?)")
    assert error.problems[-1].message.endswith("in its `needs` list: actoin_2999")
    assert str(error).splitlines()[-1] == "... and 2800 more"


def test_many_actions_with_one_command_are_not_all_named() -> None:
    actions = "".join(f"  a{n}: {{run: 'r:v2 x', outputs: {{highly_sensitive: {{x: {n}.x}}}}}}\n" for n in range(9))
    problems = refusal(f"version: 5\nactions:\n{actions}").problems
    assert [problem.message.partition(": ")[2] for problem in problems][::4] == ["a0", "a0, a1, a2, a3, a4"]


def test_a_file_does_not_steer_the_terminal() -> None:
    text = 'version: 5\nactions: {"\\e[2J\\r": 1}\n"\\x9b1m": {"\\e": 1, "\\e": 1}\n'
    assert "".join(str(refusal(text)).split("\n")).isprintable()


def test_a_tangle_of_needs_is_not_told_to_the_end() -> None:
    names = [f"a{n}" for n in range(30)]
    actions = "".join(
        f"  {name}: {{run: 'r:v2 {name}', outputs: {{highly_sensitive: {{x: {name}.x}}}}, needs: {needs}}}\n"
        for name, needs in zip(names, [f"&all [{', '.join(names)}]"] + ["*all"] * 29, strict=True)
    )
    problems = refusal(f"version: 5\nactions:\n{actions}").problems
    assert len(problems) == 20
    assert {problem.rule for problem in problems} == {"cycle", "self-need"}


def test_an_old_version_warns() -> None:
    warnings = load_pipeline("version: 2\nactions: {}").warnings
    assert [str(warning) for warning in warnings] == [
        "project.yaml:1:10: Your project file is using an old version (2.0); consider updating to version 5"
    ]
    assert warnings[0].severity == "warning"


@pytest.mark.parametrize("case", [case for case in CASES if case.rule != "yaml"], ids=lambda case: case.name)
def test_what_only_carrel_refuses_is_told_apart(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ours` decides the order: what the contract says comes first."""
    seen: dict[str, bool] = {}
    errors = Findings.errors

    def spy(self: Findings) -> list[Problem]:
        seen.update({finding.rule: finding.ours for finding in self.items})
        return errors(self)

    monkeypatch.setattr(Findings, "errors", spy)
    refusal(case.text)
    assert seen[case.rule] == case.ours

"""Every number, length and count of a project file has a bound, told in a sentence with its place."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrel.project import ProjectValidationError, action_names, load_pipeline
from carrel.project.document import Document
from carrel.project.findings import Findings
from carrel.project.patterns import is_reserved, overlap
from carrel.project.problems import MAX_HINTS
from carrel.units import limits


def action(run: Any = "python:v2 a.py", patterns: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    return {"run": run, "outputs": {"highly_sensitive": patterns or {"x": "x.csv"}}, **more}


def numbered(count: int) -> dict[str, Any]:
    return {f"a{n}": action(f"python:v2 {n}.py", {"x": f"{n}.csv"}) for n in range(count)}


def of(one: dict[str, Any]) -> dict[str, Any]:
    return {"version": 5, "actions": {"a": one}}


def refusals(project: dict[str, Any]) -> list[tuple[str, str]]:
    try:
        load_pipeline(json.dumps(project))
    except ProjectValidationError as error:
        return [(problem.rule, problem.message) for problem in error.problems]
    return []


AT_THE_BOUND: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    (
        "actions-many",
        {"version": 5, "actions": numbered(limits.MAX_ACTIONS)},
        {"version": 5, "actions": numbered(limits.MAX_ACTIONS + 1)},
        "has 5001 actions, more than 5000",
    ),
    (
        "action-name-long",
        {"version": 5, "actions": {"n" * 200: action()}},
        {"version": 5, "actions": {"n" * 201: action()}},
        "is longer than 200 characters",
    ),
    ("needs-many", of(action()), of(action(needs=["a"] * 1001)), "has 1001 entries, more than 1000"),
    (
        "outputs-many",
        of(action(patterns={str(n): f"{n}.csv" for n in range(1000)})),
        of(action(patterns={str(n): f"{n}.csv" for n in range(1001)})),
        "has 1001 outputs, more than 1000",
    ),
    (
        "output-name-long",
        of(action(patterns={"n" * 200: "x.csv"})),
        of(action(patterns={"n" * 201: "x.csv"})),
        "is longer",
    ),
    (
        "output-long",
        of(action(patterns={"x": "a/" * 497 + "xy.csv"})),
        of(action(patterns={"x": "a/" * 498 + "x.csv"})),
        "is longer than 1000 characters",
    ),
    (
        "output-file-name",
        of(action(patterns={"x": "n" * 247 + ".csv"})),
        of(action(patterns={"x": "n" * 248 + ".csv"})),
        "longer than 251 bytes",
    ),
    (
        "output-file-name",
        of(action(patterns={"x": "n" * 125 + "*" + "n" * 122 + ".csv"})),
        of(action(patterns={"x": "é" * 124 + "*.csv"})),
        "longer than 251 bytes",
    ),
    (
        "run-impossible",
        of(action(config={"k": "x" * 131000})),
        of(action(config={"k": "é" * 22000})),
        "Linux takes 131071",
    ),
    (
        "run-backends-many",
        of(action({f"b{n}": f"python:v2 {n}" for n in range(100)})),
        of(action({f"b{n}": f"python:v2 {n}" for n in range(101)})),
        "more than 100 backends",
    ),
    (
        "backend-name",
        of(action({"b" * 100: "python:v2 a"})),
        of(action({"b" * 101: "python:v2 a"})),
        "not a name of a backend",
    ),
    (
        "population-large",
        {"version": 3, "actions": {}, "expectations": {"population_size": 10**9}},
        {"version": 3, "actions": {}, "expectations": {"population_size": 10**9 + 1}},
        "at most 1000000000",
    ),
    (
        "population-text-large",
        {"version": 3, "actions": {}, "expectations": {"population_size": "1_000"}},
        {"version": 3, "actions": {}, "expectations": {"population_size": "9" * 20}},
        "at most 1000000000",
    ),
]


@pytest.mark.parametrize(
    ("rule", "most", "more", "says"), AT_THE_BOUND, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_is_at_a_bound_passes_and_what_is_over_is_told(rule, most, more, says):
    assert rule not in {found for found, _ in refusals(most)}
    told = dict(refusals(more))
    assert says in told[rule]
    assert len(told[rule]) < 400


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("timeout", "99999999h", "must be at most 366d"),
        ("timeout", 1e308, "must be at most 366d"),
        ("timeout", 1e-300, "must be at least 1 second"),
        ("timeout", "0.5s", "must be at least 1 second"),
        ("timeout", "6.5", "must be a length of time"),
        ("memory", "9" * 400 + "G", "must be at most 1024T"),
        ("memory", 4, "must be at least 6M (is a unit missing, as in 4G?)"),
        ("memory", "0.0000001G", "must be at least 6M"),
        ("cpus", 1e308, "must be a number from 0.01 to 10000"),
        ("cpus", 1e-300, "must be a number from 0.01 to 10000"),
        ("cpus", 10**400, "must be a number from 0.01 to 10000"),
    ],
)
def test_amounts_have_two_ends(key, value, says):
    (told,) = refusals(of(action(resources={key: value})))
    assert says in told[1]


RESERVED = [
    ".git/x.csv",
    "a/.git/x.csv",
    ".GIT/x.csv",
    ".carrel/x.csv",
    ".staging/t.csv",
    ".Staging/*.csv",
    "METADATA/x.csv",
]


@pytest.mark.parametrize("path", RESERVED)
def test_folders_that_are_carrels_or_gits_own(path):
    assert is_reserved(path.casefold())
    (told,) = refusals(of(action(patterns={"x": path})))
    assert told[0] == "output-reserved"
    assert "Carrel's or git's own" in told[1]


LOOKING_SO = [".github/x.csv", "a/.staging/x.csv", "a/metadata/x.csv", "git/x.csv", "x.git/y.csv", ".x.csv", "*/x.csv"]


@pytest.mark.parametrize("path", LOOKING_SO)
def test_folders_that_only_look_so(path):
    assert refusals(of(action(patterns={"x": path}))) == []


def warned(actions: dict[str, Any]) -> list[str]:
    return [f"{each.rule} {each.line}" for each in load_pipeline(_yaml(actions)).warnings]


def _yaml(actions: dict[str, Any]) -> str:
    return "version: 5\nactions:\n" + "".join(f"  {name}: {json.dumps(body)}\n" for name, body in actions.items())


def makes(**levels: Any) -> dict[str, Any]:
    return {"run": "python:v2 make.py", "outputs": {level: {"x": path} for level, path in levels.items()}}


def uses(pattern: str, needs: tuple[str, ...] = ("make",)) -> dict[str, Any]:
    outputs = {"moderately_sensitive": {"t": pattern}}
    return {"run": "python:v2 use.py", "needs": list(needs), "outputs": outputs}


@pytest.mark.parametrize(
    ("made", "used", "overlaps"),
    [
        ("output/people.csv", "output/*.csv", True),
        ("output/p*.csv", "output/*e.csv", True),
        ("output/p*.csv", "output/t*.csv", False),
        ("output/people.csv", "output/p_*.csv", False),
        ("output/people.rds", "output/*.csv", False),
        ("output/deep/people.csv", "output/*.csv", False),
        ("*/people.csv", "output/*.csv", True),
        ("output/people.csv", "output/table.csv", False),
    ],
)
def test_a_pattern_that_matches_an_input_of_a_higher_level(made, used, overlaps):
    actions = {"make": makes(highly_sensitive=made), "use": uses(used)}
    assert warned(actions) == (["levels-overlap 4"] if overlaps else [])
    actions["make"] = makes(minimally_sensitive=made)
    assert warned(actions) == (["levels-overlap 4"] if overlaps else [])
    assert warned({"make": makes(moderately_sensitive="m.csv"), "use": uses(used)}) == []


def test_only_needed_actions_and_an_actions_own_named_files_count():
    actions = {"make": makes(highly_sensitive="output/people.csv"), "use": uses("output/*.csv", ())}
    assert warned(actions) == []
    assert warned({"a": makes(highly_sensitive="o/e.csv", moderately_sensitive="o/*.csv")}) == ["levels-overlap 3"]
    assert warned({"a": makes(highly_sensitive="o/*.csv", moderately_sensitive="o/t.csv")}) == []
    assert warned({"a": makes(highly_sensitive="o/*.csv", moderately_sensitive="o/t_*.csv")}) == []


def test_a_search_that_would_take_too_long_says_so():
    highly = {str(n): "o/" + "*a" * 200 + f"{n}.csv" for n in range(100)}
    moderately = {str(n): "o/" + "*b" * 200 + f"{n}.csv" for n in range(100)}
    actions = {"make": action(patterns=highly), "use": {**uses("x"), "outputs": {"moderately_sensitive": moderately}}}
    assert warned(actions) == ["levels-not-checked 4"]


@pytest.mark.parametrize(
    ("run", "rows"),
    [
        ("sqlrunner:v1 q.sql --output output/r.csv", True),
        ("ehrql:v1  generate-dataset d.py --output output/r.csv", True),
        ("ehrql:v1 generate-measures d.py --output output/r.csv", False),
        ("python:v2 r.py", False),
    ],
)
def test_rows_that_are_called_moderately_sensitive(run, rows):
    found = warned({"q": {"run": run, "outputs": {"moderately_sensitive": {"t": "output/r.csv"}}}})
    assert ("rows-moderately 3" in found) == rows
    assert "rows-moderately 3" not in warned(
        {"q": {"run": run, "outputs": {"highly_sensitive": {"t": "output/r.csv"}}}}
    )


names = st.text("ab*", max_size=6)


@settings(max_examples=300)
@given(names, names)
def test_overlaps_as_the_slow_and_obvious_way_finds_them(one, other):
    assert overlap(one, other) == _obvious(one, other)


def _obvious(one: str, other: str) -> bool:
    if not one or not other:
        return not (one + other).replace("*", "")
    if one[0] == "*":
        return _obvious(one[1:], other) or (other[0] != "*" and _obvious(one, other[1:])) or _obvious_star(one, other)
    if other[0] == "*":
        return _obvious(other, one)
    return one[0] == other[0] and _obvious(one[1:], other[1:])


def _obvious_star(one: str, other: str) -> bool:
    """Both begin with stars: the other's may stand for nothing, too."""
    return other[0] == "*" and _obvious(one, other[1:])


def test_a_message_quotes_only_so_much():
    (told,) = refusals({"version": 5, "actions": {}, **{f"k{'x' * 500}{n}": 1 for n in range(1000)}})
    assert len(told[1]) <= limits.MAX_MESSAGE + 3


def test_one_long_name_is_not_said_again_for_each_of_its_mistakes():
    """Half a mebibyte of name, a hundred thousand mistakes: their messages would be fifty gigabytes."""
    text = json.dumps({"version": 5, "actions": {"n" * 500_000: action(needs=[1] * 100_000)}})
    with pytest.raises(ProjectValidationError) as caught:
        load_pipeline(text)
    assert sum(len(problem.message) for problem in caught.value.problems) < 1000


def test_the_nearest_name_is_looked_for_a_few_times_only(monkeypatch):
    asked = []
    monkeypatch.setattr("carrel.project.findings.nearest", lambda name, allowed: asked.append(name))
    refusals(
        {"version": 5, "actions": {f"a{n}": {"rum": 1, "output": 2, "outputs": {"secret": {}}} for n in range(500)}}
    )
    assert len(asked) == MAX_HINTS


def test_findings_end_somewhere():
    findings = Findings(Document("", "project.yaml"))
    for number in range(limits.MAX_FINDINGS + 10):
        findings.error("x", str(number), ())
    assert len(findings.items) == limits.MAX_FINDINGS


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (b"actions: {b: {}, a: {}}", ["a", "b"]),
        (b"actions: {yes: {}, 1: {}}", ["1", "yes"]),
        (b"\xef\xbb\xbfactions: {a: }", ["a"]),
        (b"actions: [a]", None),
        (b"actions: [", None),
        (b"\xff", None),
        (b"[" * 200_000, None),
        (b"{a: " * 100_000, None),
        (b"#" * (limits.MAX_PROJECT_BYTES + 1), None),
    ],
)
def test_names_of_actions_are_read_as_the_file_is(text, names):
    assert action_names(text) == names


def test_a_bomb_of_merge_keys_is_read_as_the_little_it_stands_for():
    bomb = "actions:\n  a0: &a0 {k: 1}\n"
    for level in range(1, 13):
        bomb += f"  a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 10)}]}}\n"
    assert action_names(bomb.encode()) == sorted(f"a{level}" for level in range(13))

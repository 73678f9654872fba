import pytest
from hypothesis import given as cases
from hypothesis import strategies as st
from tests.jobs.examples import PATIENT

from carrel.jobs.weights import Weights, WeightsError, parse_weights

TEXT = """
# comments are left out
[my-workspace]
generate_.* = 4
Generate_Big = 8
.*big.* = 2

[other]
a:b = 3

[default]
cohortextractor:latest generate_cohort .* = 2
python:.* --all = 1.5
generate_x = 9
"""


@pytest.fixture(scope="module")
def weights():
    return parse_weights(TEXT)


@pytest.mark.parametrize(
    ("workspace", "action", "command", "weight"),
    [
        ("my-workspace", "generate_a", "x", 4),
        ("my-workspace", "generate_big", "x", 4),  # the first match wins
        ("my-workspace", "Generate_Big", "x", 8),  # case matters
        ("my-workspace", "not_generate_a", "x", 1),  # the whole name
        ("my-workspace", "a_big_one", "x", 2),
        ("my-workspace", "a", "python:v2 --all", 1.5),  # [default] after the workspace's own
        ("nobody", "generate_a", "cohortextractor:latest generate_cohort --x", 2),
        ("nobody", "a", "python:v2 --all --not", 1),  # the whole command
        ("other", "a:b", "x", 3),  # `=` is the only delimiter
        ("nobody", "generate_x", "x", 1),  # [default] looks at commands, not at names
        ("default", "generate_x", "x", 1),  # though the workspace be called so
        ("default", "x", "generate_x", 9),
    ],
)
def test_which_pattern_wins(weights, workspace, action, command, weight):
    assert weights.weight_of(workspace, action, command) == weight


def test_no_file_no_weights():
    assert parse_weights("") == Weights()
    assert Weights().weight_of("w", "a", "c") == 1.0


def test_a_section_called_default_in_capitals_is_a_workspace_like_any_other():
    weights = parse_weights("[DEFAULT]\na = 5\n[w]\nb = 2\n")
    assert weights.weight_of("w", "a", "c") == 1
    assert weights.weight_of("DEFAULT", "a", "c") == 5


def test_percent_signs_mean_nothing():
    assert parse_weights("[w]\na%%(x)s = 3\n").weight_of("w", "a%%xs", "") == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 3", "north.ini is not a file of"),
        ("[w]\nnonsense\n", "north.ini is not a file of"),
        ("[w]\na = 1\na = 2\n", "already exists"),
        ("[w]\n( = 1\n", r"north.ini: \[w\] \(: not a regular expression"),
        ("[w]\na = much\n", r"north.ini: \[w\] a: the weight must be a number, not 'much'"),
        ("[w]\na =\n", "must be a number"),
        ("[w]\na = 0\n", "must be more than 0"),
        ("[w]\na = -1\n", "must be more than 0"),
        ("[w]\na = nan\n", "must be more than 0"),
        ("[w]\na = inf\n", "must be more than 0"),
    ],
)
def test_a_bad_file_is_refused_with_the_place(text, message):
    with pytest.raises(WeightsError, match=message):
        parse_weights(text, "north.ini")


@PATIENT
@cases(st.text())
def test_any_text_is_weights_or_a_weights_error(text):
    try:
        weights = parse_weights(text)
    except WeightsError:
        return
    assert weights.weight_of("w", "a", "c") > 0

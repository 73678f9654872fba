"""YAML 1.2 to values and places."""

import json
import math
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from carrel.project.document import Document, resolve
from carrel.project.problems import YAMLError
from carrel.units import yaml_documents


def value(text: str) -> Any:
    return Document(text, "x.yaml").value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((word, word) for word in ("yes", "no", "on", "off", "y", "n", "Yes", "NO", "nUll", "tRue", "<<=")),
        *((word, word) for word in ("2020-01-01", "12:30:00", "1_000", "0b11", "0o8", "0xg", "1.2.3")),
        *((word, word) for word in ("-", "+", ".", "1e")),
        *((word, None) for word in ("null", "Null", "NULL", "~", "")),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE")),
        ("0", 0), ("-1", -1), ("+12", 12), ("010", 10), ("0o17", 15), ("0xfF", 255),
        ("1.5", 1.5), ("-.5", -0.5), ("1.", 1.0), ("1e3", 1000.0), ("1.5E-2", 0.015), (".inf", math.inf),
        ("+.INF", math.inf), ("-.Inf", -math.inf), ("1" * 5000, math.inf),
    ],
)  # fmt: skip
def test_plain_scalars_follow_yaml_1_2(text: str, expected: object) -> None:
    found = resolve(text)
    assert (found, type(found)) == (expected, type(expected))
    assert value(f"[{text}]") == ([expected] if text else [])


def test_not_a_number() -> None:
    assert all(math.isnan(resolve(text)) for text in (".nan", ".NaN", ".NAN"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc<'\"", max_size=3), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=100)
@given(json_values)
def test_json_is_read_as_json(written: Any) -> None:
    assert value(json.dumps(written, ensure_ascii=False)) == written


plain = st.text("ab", min_size=1, max_size=3).filter(lambda text: text not in ("a", "b"))
mappings = st.dictionaries(plain, st.integers(0, 9) | st.dictionaries(plain, plain, max_size=3), max_size=5)


@settings(max_examples=50)
@given(st.lists(mappings, min_size=1, max_size=4), mappings)
def test_merges_as_pyyaml_does(merged: list[Any], own: dict[str, Any]) -> None:
    anchors = "".join(f"m{index}: &m{index} {json.dumps(each)}\n" for index, each in enumerate(merged))
    aliases = ", ".join(f"*m{index}" for index in range(len(merged)))
    text = (
        f"{anchors}all: {json.dumps({'<<': 0, **own}).replace(chr(34) + '<<' + chr(34) + ': 0', f'<<: [{aliases}]')}\n"
    )
    found, oracle = value(text), yaml.safe_load(text)
    assert found == oracle
    assert list(found["all"]) == list(oracle["all"])


def test_a_quoted_merge_key_is_a_key() -> None:
    assert value("'<<': 1") == {"<<": 1}
    assert value("a: <<") == {"a": "<<"}
    assert value("[<<]") == ["<<"]


def test_aliases_stand_for_the_same_value() -> None:
    found = value("a: &x {b: &y 1}\nc: *x\nd: [*y, *x]\n")
    assert found == {"a": {"b": 1}, "c": {"b": 1}, "d": [1, {"b": 1}]}


def test_an_anchor_given_again_counts_from_there_on() -> None:
    assert value("a: &x [&x 1, *x]\nb: *x\nc: &x 2\nd: *x\n") == {"a": [1, 1], "b": 1, "c": 2, "d": 2}


PLACES = """\
top: &top
  list: [a, bb,
    {in: c}]
other:
  <<: *top
  own: 1
again: *top
1: number
"""


@pytest.mark.parametrize(
    ("path", "key", "expected"),
    [
        ((), False, (1, 1)),
        (("top",), True, (1, 1)),
        (("top",), False, (1, 6)),
        (("top", "list", 1), False, (2, 13)),
        (("top", "list", "bb"), False, (2, 13)),
        (("top", "list", 2, "in"), False, (3, 10)),
        (("top", "list", "zz"), False, (2, 3)),
        (("other", "list"), True, (2, 3)),
        (("other", "own"), False, (6, 8)),
        (("again",), False, (7, 8)),
        (("again", "list", 0), False, (2, 10)),
        (("1",), False, (8, 4)),
        (("missing",), False, (1, 1)),
        (("other", "missing", "more"), False, (4, 1)),
        (("other", "own", "deeper"), False, (6, 3)),
    ],
)
def test_places(path: tuple[object, ...], key: bool, expected: tuple[int, int]) -> None:
    assert Document(PLACES, "x.yaml").locate(path, key=key) == expected


def test_columns_count_characters_not_bytes() -> None:
    assert Document("{é: 1, b: 2}", "x").locate(("b",)) == (1, 11)


def test_an_unreadable_text_says_where() -> None:
    with pytest.raises(YAMLError) as caught:
        Document("a: [1\nb: 2\n", "study.yaml")
    assert str(caught.value).startswith("study.yaml:2:")
    assert caught.value.problem.rule == "yaml"


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(YAMLError, match="1:4: control characters"):
        Document("a: \ud800", "x")


def test_the_slow_parser_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML was built without its C library."""
    monkeypatch.setattr(yaml_documents, "Loader", yaml.SafeLoader)
    assert value(PLACES)["other"] == {"list": ["a", "bb", {"in": "c"}], "own": 1}
    with pytest.raises(YAMLError, match="1:4: control characters"):
        Document("a: \x01", "x")
    with pytest.raises(YAMLError, match=r"while parsing a flow node"):
        Document("a: [", "x")


@settings(max_examples=100)
@given(st.text("ab:-[]{}&*!|>'\"#%@,?\n \t<", max_size=40))
def test_what_pyyaml_cannot_compose_is_refused(text: str) -> None:
    """We refuse more (keys that are lists, aliases to themselves), never less, and never fall over."""
    try:
        Document(text, "x")
    except YAMLError:
        return
    yaml.compose(text, Loader=yaml_documents.Loader)

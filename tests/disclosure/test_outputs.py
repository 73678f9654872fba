"""The rules on a file of any type: findings, or why there are none."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.images import png
from tests.support.memory import peak_above

from carrel.disclosure.findings import RuleId
from carrel.disclosure.outputs import Look, look_at
from carrel.units.limits import MAX_TABLE_JSON

RECORDS = [{"sex": "F", "n": 3}, {"sex": "M", "n": 10}]
PAGE = "<table><tr><th>s<b>e</b>x</th><th>n</th></tr><tr><td>F</td><td>3</td></tr></table>"


def look(text: str | bytes, suffix: str) -> Look:
    return look_at(io.BytesIO(text if isinstance(text, bytes) else text.encode()), suffix)


@pytest.mark.parametrize(
    ("text", "suffix", "place"),
    [
        ("sex,n\nF,3\n", ".csv", (2, "n")),
        ("sex;n\nF;3\n", ".csv", (2, "n")),
        ("\ufeffsex,n\nF,3\n".encode("utf-16"), ".csv", (2, "n")),
        ("sex,n\nF,3\nM,n/a\nO,7.5\nP,10\nQ,20\n", ".csv", (2, "n")),
        ("a,b\nn,3\nmean,1.5\n", ".csv", (2, "b")),
        ("Counts:\n\nsex  n\nF  3\nM  10\n", ".txt", (4, "n")),
        ("# Report\n\n| sex | n |\n|---|---|\n| F | 3 |\n", ".md", (5, "n")),
        (PAGE, ".html", (2, "n")),
        (PAGE.replace("</td>", "").replace("</tr>", ""), ".html", (2, "n")),
        (json.dumps(RECORDS), ".json", (2, "n")),
        (json.dumps({"result": {"rows": RECORDS}}), ".json", (2, "n")),
        (json.dumps({"sex": ["F", "M"], "n": [3, 10]}), ".json", (2, "n")),
        (json.dumps({"sex": {"0": "F", "1": "M"}, "n": {"0": 3, "1": 10}}), ".json", (2, "n")),
        (json.dumps({"columns": ["sex", "n"], "index": [0], "data": [["F", 3]]}), ".json", (2, "n")),
        (json.dumps([["sex", "n"], ["F", 3]]), ".json", (2, "n")),
    ],
)
def test_small_counts_are_found_in_any_type(text: str | bytes, suffix: str, place: tuple[int, str]) -> None:
    (finding,) = look(text, suffix).findings
    assert (finding.line, finding.column) == place
    assert finding.rule is RuleId.SMALL_COUNT


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ("NHS number,n\n1,10\n", ".csv"),
        ("NHS number;n\n", ".csv"),
        (PAGE.replace(">n<", ">NHS number<").replace("3", "10"), ".html"),
        (json.dumps({"nhsNumber": [10, 20]}), ".json"),
        ("nhs_number  n\n10  20\n", ".log"),
    ],
)
def test_identifiers_are_found_in_any_type(text: str, suffix: str) -> None:
    assert RuleId.IDENTIFIER_NAME in {finding.rule for finding in look(text, suffix).findings}


@pytest.mark.parametrize(
    ("data", "suffix", "unchecked", "is_blind"),
    [
        (png(), ".png", "it is an image; look at the numbers that it shows", False),
        ("", ".csv", "it is not understood as a table", True),
        ("a,b\n", ".csv", "it has no rows below a header", False),
        ("naïve,n\n".encode("latin-1"), ".csv", "it is not UTF-8 text", True),
        ("Some prose.\n", ".txt", "it has no table", False),
        ("{}", ".json", "it has no table", False),
        ("{", ".json", "it cannot be read as JSON", True),
        (b'"' + b"x" * MAX_TABLE_JSON + b'"', ".json", "it is longer than 4,194,304 characters", True),
        (f"[{'9' * 5000}]", ".json", "it holds a number of more than 4,096 digits", True),
        ("1,2\n" * 300_000, ".csv", "it has more than 500,000 cells", True),
        ("n," * 2_001 + "\n" + "1," * 2_001 + "\n", ".csv", "it has more than 2,000 columns", True),
    ],
)
def test_what_could_not_be_looked_at_is_told(data: str | bytes, suffix: str, unchecked: str, is_blind: bool) -> None:
    assert look(data, suffix) == Look((), unchecked, is_blind)


def test_findings_that_are_left_out_are_told() -> None:
    found = look("n,m\n" + "3,a\n" * 101, ".csv")
    assert (len(found.findings), found.unchecked) == (100, "what follows the first 100 findings of small-count")
    assert look("n,m\n" + "3,a\n" * 100, ".csv").unchecked == ""


def test_a_clean_table_has_nothing() -> None:
    assert look("sex,n\nF,10\n", ".csv") == Look()


@given(st.binary(max_size=300), st.sampled_from([".csv", ".txt", ".html", ".json"]))
def test_any_bytes_are_looked_at(data: bytes, suffix: str) -> None:
    assert look(data, suffix) is not None


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
        max_leaves=20,
    )
)
def test_any_json_is_looked_at(value: object) -> None:
    assert not look(json.dumps(value), ".json").is_blind


WIDE = {
    "cells": ("(b'abcdefgh,' * 99 + b'abcdefgh\\n') * 4900", ".csv"),
    "lists": ("b'[' + b'[],' * 400_000 + b'[]]'", ".json"),
    "page": ("b'<table>' + b'<tr><td>a<td>b' * 240_000", ".html"),
    "emoji": ("b'[\"' + b'x' * (4_100_000) + '\\U0001F600'.encode() + b'\"]'", ".json"),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", WIDE)
def test_memory_stays_within_a_bound(kind: str) -> None:
    code, suffix = WIDE[kind]
    prepare = f"import io\nfrom carrel.disclosure.outputs import look_at\nstream = io.BytesIO({code})\n"
    assert peak_above(prepare, f"look_at(stream, {suffix!r})") < 100 << 20

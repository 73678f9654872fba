"""SVG as text: escaped, and with finite numbers only."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.svg import parsed

from carrel.pages.svg import element, labelled, number, percent

TEXT = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"))


@given(TEXT, TEXT)
def test_text_and_attributes_come_back_as_they_were(text: str, attribute: str) -> None:
    (parent,) = parsed(element("g", element("text", text, class_=attribute), text_anchor=attribute, left_out=None))
    assert parent[0].text == (text or None)
    assert parent[0].get("class") == attribute
    assert parent.attrib == {"text-anchor": attribute}


def test_elements_without_content_are_closed() -> None:
    assert element("rect", x=1.5, width="100%") == '<rect x="1.5" width="100%"/>'


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (-0.001, "0"), (1.0, "1"), (1.254, "1.25"), (100, "100"), (-2.5, "-2.5")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="no place"):
        element("rect", x=value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_percentage_lies_within_the_whole(fraction: float) -> None:
    assert 0 <= float(percent(fraction).removesuffix("%")) <= 100


def test_labels_say_what_a_drawing_shows() -> None:
    assert labelled("A & B") == "<title>A &amp; B</title>"
    assert labelled("A", "in words") == "<title>A</title><desc>in words</desc>"

import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carrel.local.graph import draw, edges, layers

DIAMOND = {"extract": [], "left": ["extract"], "right": ["extract"], "end": ["left", "right", "left"]}
SVG = "{http://www.w3.org/2000/svg}"


def test_mermaid_numbers_the_nodes():
    assert draw(DIAMOND, "mermaid") == (
        'flowchart TD\n    a0["extract"]\n    a1["left"]\n    a2["right"]\n    a3["end"]\n'
        "    a0 --> a1\n    a0 --> a2\n    a1 --> a3\n    a2 --> a3\n"
    )


def test_dot_quotes_names():
    text = draw({'a"b': [], "c": ['a"b']}, "dot")
    assert '"a\\"b" -> "c";' in text


@pytest.mark.parametrize("needs", [{}, {"a": []}, DIAMOND, {"a<&>": []}])
def test_svg_has_a_box_and_name_for_each_action_and_an_arrow_for_each_need(needs):
    root = ET.fromstring(draw(needs, "svg"))
    assert [text.text for text in root.findall(f"{SVG}text")] == [a for row in layers(needs) for a in row]
    assert len(root.findall(f"{SVG}rect")) == len(needs)
    assert len(root.findall(f"{SVG}path")) == len(edges(needs))


def test_a_very_long_chain_is_drawn():
    chain = {f"a{n}": [f"a{n + 1}"] if n < 3000 else [] for n in range(3001)}
    assert len(layers(chain)) == 3001


@st.composite
def dags(draw_value):
    size = draw_value(st.integers(0, 8))
    names = [f"n{i}" for i in range(size)]
    return {
        name: draw_value(st.lists(st.sampled_from(names[:i]), max_size=4)) if i else [] for i, name in enumerate(names)
    }


@settings(max_examples=50)
@given(dags())
def test_every_need_is_drawn_above_what_needs_it_and_no_boxes_overlap(needs):
    rows = layers(needs)
    depth = {action: number for number, row in enumerate(rows) for action in row}
    assert depth.keys() == needs.keys()
    assert all(depth[need] < depth[action] for need, action in edges(needs))
    spans = {}
    for rect in ET.fromstring(draw(needs, "svg")).findall(f"{SVG}rect"):
        spans.setdefault(rect.get("y"), []).append((float(rect.get("x")), float(rect.get("width"))))
    for row in spans.values():
        ordered = sorted(row)
        assert all(x + w < after for (x, w), (after, _) in pairwise(ordered))

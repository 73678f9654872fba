"""YAML as plain values with positions. What project files and mapping files make of it is tested with those."""

from typing import Any

import pytest

from carrel.units.yaml_documents import YamlDocument, YamlFault


def read(text: str, **limits: Any) -> YamlDocument:
    return YamlDocument(text, lambda event: event.value, **{"max_depth": 5, "max_expanded": 1000, **limits})


def test_values_and_places():
    document = read("a: 1\nb:\n  - x\n  - {c: y}\n")
    assert document.value == {"a": "1", "b": ["x", {"c": "y"}]}
    paths = [(), ("a",), ("b",), ("b", 0), ("b", 1, "c")]
    assert [document.locate(path) for path in paths] == [(1, 1), (1, 4), (3, 3), (3, 5), (4, 9)]
    assert [document.locate(path, key=True) for path in paths] == [(1, 1), (1, 1), (2, 1), (3, 5), (4, 6)]
    assert document.locate(("b", "nowhere")) == (2, 1)


def test_an_empty_text_is_none():
    assert (read("").value, read("# nothing\n").value, read("").locate(("a",))) == (None, None, (1, 1))


def test_keys_given_twice_are_noted_with_their_path():
    document = read("a:\n  - b: 1\n    b: 2\n<<: {c: 3}\n<<: {d: 4}\n")
    assert document.value == {"a": [{"b": "1"}], "d": "4"}
    assert [(path, fault.line, fault.column) for path, fault in document.duplicates] == [
        (("a", 0, "b"), 3, 5),
        (("<<",), 5, 1),
    ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a: [", "syntax"),
        ("a: *b", "syntax"),
        ("1\n---\n2", "syntax"),
        ("<<: 7", "syntax"),
        ("? [a]\n: b", "key"),
        ("a: !b [c]", "tag"),
        ("a: &x [*x]", "alias"),
        ("[[[[[[1]]]]]]", "depth"),
        ("a: &x [[1]]\nb: [[[*x]]]", "alias"),
        ("a: &x [1, 2]\nb: [" + "*x, " * 400 + "]", "alias"),
    ],
)
def test_what_is_refused(text: str, kind: str):
    with pytest.raises(YamlFault) as caught:
        read(text)
    assert caught.value.kind == kind
    assert caught.value.line >= 1

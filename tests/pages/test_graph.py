"""The graph of actions: each once, to the right of what it needs, whatever the names and the needs are."""

from hypothesis import given
from hypothesis import strategies as st
from tests.pages.test_svg import TEXT
from tests.support.svg import elements, texts

from carrel.pages.graph import MAX_WORDS, GraphAction, direct_needs, graph_svg, in_words, layers_of
from carrel.pages.status_words import Family

NAMES = st.lists(TEXT, unique=True, max_size=12)


@st.composite
def graphs(draw: st.DrawFn, acyclic: bool = True) -> list[GraphAction]:
    """Some actions; each needs some of those before it, or of all where circles are allowed, and names nobody has."""
    names = draw(NAMES)
    actions = []
    for place, name in enumerate(names):
        candidates = names[:place] if acyclic else names
        needs = draw(st.lists(st.sampled_from([*candidates, "nobody"]), unique=True, max_size=4))
        family = draw(st.none() | st.sampled_from(Family))
        note = draw(st.sampled_from(["", "reused"]))
        url = draw(st.sampled_from(["", "/jobs/1/?a=1&b=2"]))
        actions.append(GraphAction(name=name, needs=tuple(needs), family=family, note=note, url=url))
    return actions


def columns(actions: list[GraphAction]) -> dict[str, int]:
    return {action.name: number for number, layer in enumerate(layers_of(actions)) for action in layer}


@given(graphs(acyclic=False))
def test_every_action_stands_in_one_layer(actions: list[GraphAction]) -> None:
    layered = [action for layer in layers_of(actions) for action in layer]
    assert sorted(action.name for action in layered) == sorted(action.name for action in actions)


@given(graphs())
def test_an_action_stands_to_the_right_of_what_it_needs(actions: list[GraphAction]) -> None:
    column = columns(actions)
    for action in actions:
        known = [column[need] for need in action.needs if need in column]
        assert column[action.name] == max(known, default=-1) + 1


def reachable(start: str, arrows: set[tuple[str, str]]) -> set[str]:
    """All that is needed, straight or by others: the slow and obvious way."""
    reached: set[str] = set()
    pending = [start]
    while pending:
        current = pending.pop()
        new = {needed for needed, needing in arrows if needing == current} - reached
        reached |= new
        pending += new
    return reached


@given(graphs())
def test_lines_that_others_imply_are_left_out_and_no_others(actions: list[GraphAction]) -> None:
    names = {action.name for action in actions}
    every = {(need, action.name) for action in actions for need in action.needs if need in names}
    drawn = set(direct_needs(layers_of(actions)))
    assert len(drawn) == len(direct_needs(layers_of(actions)))
    assert drawn <= every
    for action in actions:
        assert reachable(action.name, drawn) == reachable(action.name, every)
    for needed, needing in drawn:
        assert needed not in reachable(needing, drawn - {(needed, needing)})


@given(graphs(acyclic=False))
def test_the_drawing_has_each_action_once_inside_it(actions: list[GraphAction]) -> None:
    svg = graph_svg(actions, "What needs <what>")
    (root,) = elements(svg, "svg")
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    boxes = elements(svg, "g", "box")
    assert len(boxes) == len(actions)
    for rect in elements(svg, "rect"):
        assert float(rect.get("x", 0)) >= 0
        assert float(rect.get("x", 0)) + float(rect.get("width", 0)) <= width + 0.01
        assert float(rect.get("y", 0)) + float(rect.get("height", 0)) <= height + 0.01
    assert len({(rect.get("x"), rect.get("y")) for rect in elements(svg, "rect")}) == len(actions)
    titles = texts(svg, "title")
    assert titles[0] == "What needs <what>"
    assert sorted(titles[1:]) == sorted(f"{action.label}: {action.family or 'will not run'}" for action in actions)
    assert len(elements(svg, "a")) == sum(bool(action.url) for action in actions)


def test_long_names_are_cut_and_stand_whole_in_the_title() -> None:
    name = "a" * 80
    svg = graph_svg([GraphAction(name=name, family=Family.RUNNING)], "G")
    assert texts(svg, "text") == ["a" * 29 + "…"]
    assert texts(svg, "title")[1] == f"{name}: running"


def test_no_actions_are_an_empty_drawing() -> None:
    assert elements(graph_svg([], "G"), "g") == []


def test_the_graph_is_told_in_words() -> None:
    actions = [
        GraphAction(name="extract", family=Family.SUCCEEDED),
        GraphAction(name="model", needs=("extract", "normalise"), note="reused"),
    ]
    assert in_words(actions) == "extract (succeeded). model · reused (will not run) needs extract, normalise."
    many = [GraphAction(name=str(number)) for number in range(MAX_WORDS + 5)]
    assert in_words(many).endswith("And 5 more.")


def test_five_hundred_actions_are_drawn() -> None:
    actions = [
        GraphAction(name=f"a{n}", needs=tuple(f"a{m}" for m in range(max(0, n - 7), n)), family=Family.RUNNING)
        for n in range(500)
    ]
    svg = graph_svg(actions, "Many")
    assert len(elements(svg, "g", "box")) == 500
    assert len(direct_needs(layers_of(actions))) == 499
    assert len(svg) < 250_000

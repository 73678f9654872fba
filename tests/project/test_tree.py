"""Rules over a whole tree, held against slow and obvious versions."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from carrel.project import Action, Outputs, load_pipeline
from carrel.project.commands import RunCommand
from carrel.project.tree import need_findings, tree_findings
from carrel.project.versions import Features

NAMES = "abcdef"
graphs = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES + "z"), max_size=4))


def tree(needs: dict[str, list[str]]) -> dict[str, Action]:
    return {
        name: Action(
            action_id=name,
            outputs=Outputs({"x": f"{name}.csv"}),
            command=RunCommand.parse(f"r:v2 {name}"),
            needs=list(wanted),
        )
        for name, wanted in needs.items()
    }


def reachable(needs: dict[str, list[str]]) -> set[tuple[str, str]]:
    """Pairs (a, b) where a needs b, at whatever distance."""
    pairs = {(name, need) for name, wanted in needs.items() for need in wanted if need in needs}
    while True:
        longer = pairs | {(a, d) for (a, b), (c, d) in product(pairs, pairs) if b == c}
        if longer == pairs:
            return pairs
        pairs = longer


@settings(max_examples=100)
@given(graphs)
def test_a_cycle_is_found_where_an_action_reaches_itself(needs: dict[str, list[str]]) -> None:
    found = tree_findings(tree(needs), Features())
    on_a_cycle = {name for name, need in reachable(needs) if name == need}
    assert bool(found) == bool(on_a_cycle)
    for finding in found:
        assert finding.path[1] in on_a_cycle
        assert finding.path[3] in needs[finding.path[1]]
    assert {f.path[1] for f in found if f.rule == "self-need"} == {name for name in needs if name in needs[name]}


@settings(max_examples=100)
@given(graphs)
def test_unknown_needs(needs: dict[str, list[str]]) -> None:
    expected = [(name, need) for name, wanted in needs.items() for need in wanted if need not in needs]
    assert [(f.path[1], f.path[3]) for f in need_findings(tree(needs))] == expected


def test_a_chain_may_be_longer_than_pythons_stack() -> None:
    lines = ["version: 5", "actions:"]
    for n in range(5000):
        needs = f", needs: [a{n + 1}]" if n < 4999 else ""
        lines.append(f"  a{n}: {{run: 'r:v2 {n}', outputs: {{highly_sensitive: {{x: a{n}.x}}}}{needs}}}")
    assert len(load_pipeline("\n".join(lines)).actions) == 5000

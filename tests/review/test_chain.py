"""The hash chain: any change, gap, exchange or insertion is found, and where."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from carrel.review.chain import GENESIS, first_fault, hash_of


def chained(texts: list[str]) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    for number, text in enumerate(texts, 1):
        event = {"number": number, "text": text, "previous_hash": events[-1]["hash"] if events else GENESIS}
        events.append({**event, "hash": hash_of(event)})
    return events


def test_a_whole_chain() -> None:
    assert first_fault([]) == ""
    assert first_fault(chained(["a", "b", "c"])) == ""
    events = chained(["a", "b", "c"])
    assert first_fault(events[2:], previous=events[1]["hash"], number=2) == ""


def test_words_for_each_fault() -> None:
    events = chained(["a", "b", "c"])
    assert "Event 2 was changed" in first_fault([events[0], events[1] | {"text": "x"}, events[2]])
    assert "Event 2 is missing" in first_fault([events[0], events[2]])
    rewritten = {"number": 2, "text": "x", "previous_hash": GENESIS}
    assert "Event 2 does not follow" in first_fault([events[0], {**rewritten, "hash": hash_of(rewritten)}])


@given(st.lists(st.text(max_size=5), min_size=2, max_size=8), st.data())
def test_no_change_passes(texts: list[str], data: st.DataObject) -> None:
    events = chained(texts)
    at = data.draw(st.integers(0, len(events) - 2))
    dropped = events[:at] + events[at + 1 :]
    assert first_fault(dropped)
    changed = [*events[:at], events[at] | {"text": events[at]["text"] + "!"}, *events[at + 1 :]]
    assert first_fault(changed)
    # A forger who hashes the changed event anew breaks its link to the next one.
    forged = {**changed[at], "hash": hash_of(changed[at])}
    assert first_fault([*changed[:at], forged, *changed[at + 1 :]])

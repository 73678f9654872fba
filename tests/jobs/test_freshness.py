"""What is told of data that changed since, and of whom."""

from carrel.jobs.freshness import DataChange, data_changes

MOVED = DataChange({"Weather": (None, "0"), "Motion": ("4", "5")})


def test_words_name_each_table_and_both_versions() -> None:
    assert MOVED.words() == "data changed since: Motion 4 -> 5, Weather not there -> 0"
    assert DataChange({"Motion": ("4", None)}).words() == "data changed since: Motion 4 -> not there"
    assert DataChange(through=("a", "b")).words() == "data of a, b changed since"
    assert DataChange(unknown="no").words() == "whether its data changed cannot be told: no"
    assert DataChange().words() == ""
    assert DataChange({"a": ("1", "2")}, ("b",)).words() == ("data changed since: a 1 -> 2; data of b changed since")


def test_json_is_plain() -> None:
    assert MOVED.as_json() == {
        "tables": {"Motion": ["4", "5"], "Weather": [None, "0"]},
        "through": [],
        "unknown": "",
    }
    assert DataChange(**MOVED.as_json()).words() == MOVED.words()


def test_it_is_handed_on_to_all_that_need_it_and_to_no_others() -> None:
    needs = {"last": ["middle", "same"], "middle": ["read"], "read": [], "same": [], "lost": [], "other": []}
    own = {"read": MOVED, "same": DataChange(), "lost": DataChange(unknown="why"), "gone": MOVED}
    assert data_changes(own, needs) == {
        "read": MOVED,
        "middle": DataChange(through=("read",)),
        "last": DataChange(through=("read",)),
        "lost": DataChange(unknown="why"),
    }


def test_needs_outside_the_pipeline_and_shared_ones_do_not_matter() -> None:
    needs = {"top": ["left", "right", "elsewhere"], "left": ["read"], "right": ["read"], "read": []}
    assert data_changes({"read": MOVED}, needs)["top"] == DataChange(through=("read",))

"""The head and the tail of a log, against the obvious way."""

from hypothesis import given, settings
from hypothesis import strategies as st

from carrel.executors.logs import copy_log, marker

lines = st.lists(st.binary(max_size=12).map(lambda text: text.replace(b"\n", b"") + b"\n"), max_size=40)


@settings(max_examples=200, deadline=None)
@given(lines, st.integers(1, 50), st.integers(1, 200))
def test_head_and_tail_are_of_the_log_and_the_rest_is_counted(text: list[bytes], size: int, limit: int) -> None:
    whole = b"".join(text)
    written: list[bytes] = []
    missing = copy_log((whole[at : at + size] for at in range(0, len(whole), size)), written.append, limit)
    result = b"".join(written)
    if len(whole) <= limit:
        assert (result, missing) == (whole, 0)
        return
    head = whole[: limit // 2]
    tail = whole[len(head) + missing :]
    assert len(head) + len(tail) + missing == len(whole)
    assert result == head + marker(missing, not head or head.endswith(b"\n")) + tail
    assert len(head) + len(tail) <= limit


def test_without_a_limit_nothing_is_left_out() -> None:
    written: list[bytes] = []
    assert copy_log([b"a", b"b" * 10_000], written.append, None) == 0
    assert b"".join(written) == b"a" + b"b" * 10_000

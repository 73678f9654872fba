"""ULIDs: what can be one, and that later ones sort after earlier ones."""

from carrel.units.ulids import ULID_LENGTH, is_ulid, new_ulid


def test_what_can_be_one() -> None:
    assert is_ulid("01HX3V6Q4ZJ8S0K5T7W9Y2B1CD")
    for text in ("", "01HX3V6Q4ZJ8S0K5T7W9Y2B1C", "81HX3V6Q4ZJ8S0K5T7W9Y2B1CD", "01hx3v6q4zj8s0k5t7w9y2b1cd", "I" * 26):
        assert not is_ulid(text)


def test_new_ones_sort_by_time(monkeypatch) -> None:
    monkeypatch.setattr("carrel.units.ulids.time.time", iter([1_780_000_000.0, 1_780_000_001.0]).__next__)
    first, second = new_ulid(), new_ulid()
    assert first < second
    assert is_ulid(first)
    assert len(first) == ULID_LENGTH

"""Lists, words of truth, sizes and times are read one way everywhere."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.units.durations import DurationError, parse_duration
from carrel.units.limits import MAX_DURATION_SECONDS, MAX_SIZE_BYTES
from carrel.units.sizes import SizeError, parse_size, smaller_size
from carrel.units.words import is_true, list_setting, literally_true, split_list, truth_setting

NO_TEXTS = (None, True, False, [], {}, b"1", math.nan, math.inf, -math.inf)


@pytest.mark.parametrize(
    ("text", "items"), [("", ()), (",", ()), (" , ", ()), ("a", ("a",)), ("a, b", ("a", "b")), ("a,,b ,", ("a", "b"))]
)
def test_lists(text: str, items: tuple[str, ...]) -> None:
    assert split_list(text) == items
    assert list_setting(text) == items


@given(st.text())
def test_an_empty_name_is_in_no_list(text: str) -> None:
    assert "" not in split_list(text)


@pytest.mark.parametrize("word", ["true", "TRUE", " true ", "1", "yes", "Yes", "on"])
def test_words_that_mean_true(word: str) -> None:
    assert is_true(word) is True
    assert truth_setting(word) is True


@pytest.mark.parametrize("word", ["false", "False", "0", "no", "off", "", "  "])
def test_words_that_mean_false(word: str) -> None:
    assert is_true(word) is False


@pytest.mark.parametrize("word", ["ture", "y", "2", "none", "t"])
def test_a_misspelt_word_of_truth_is_an_error(word: str) -> None:
    with pytest.raises(ValueError, match="neither true nor false"):
        is_true(word)


def test_settings_that_are_no_texts_are_left_to_their_types() -> None:
    assert truth_setting(True) is True
    assert list_setting(["a"]) == ["a"]


@pytest.mark.parametrize(("value", "opens"), [("true", True), (True, True), ("True", False), ("1", False), (1, False)])
def test_a_door_opens_for_the_very_word(value: object, opens: bool) -> None:
    assert literally_true(value) is opens


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("4G", 4 << 30),
        (" 4G ", 4 << 30),
        ("512m", 512 << 20),
        ("1.5GiB", 3 << 29),
        ("16 GiB", 16 << 30),
        ("7b", 7),
        ("1024", 1024),
        (1024, 1024),
        (1024.5, 1024),
        ("1024T", MAX_SIZE_BYTES),
    ],
)
def test_sizes(value: object, size: int) -> None:
    assert parse_size(value) == size


@pytest.mark.parametrize(
    "value",
    [*NO_TEXTS, "", "G", "-1G", "0", "0.0G", 0, -1, 0.5, "4 X", "inf", "nan", "1e9", "٤G", "1025T", "9" * 400, 1e30],
)
def test_what_is_no_size(value: object) -> None:
    with pytest.raises(SizeError):
        parse_size(value)


def test_the_smaller_of_two_sizes_is_given_as_written() -> None:
    assert smaller_size("2048M", "1.5G") == "1.5G"
    assert smaller_size("1G", "2G") == "1G"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("6h", 21600),
        ("1h30m", 5400),
        ("1d 2h 3m 4s", 93784),
        ("1.5h", 5400),
        (" 90 ", 90),
        ("30 m", 1800),
        (0.5, 0.5),
        (90, 90),
        ("366d", MAX_DURATION_SECONDS),
    ],
)
def test_durations(value: object, seconds: float) -> None:
    assert parse_duration(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        *NO_TEXTS,
        "",
        "h",
        "0",
        "0s",
        "-5",
        "5w",
        "5s5m",
        "inf",
        "367d",
        "99999999h",
        "9" * 400,
        "9" * 400 + "d",
        10**400,
    ],
)
def test_what_is_no_duration(value: object) -> None:
    with pytest.raises(DurationError):
        parse_duration(value)


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.none())
def test_anything_is_read_or_refused(value: object) -> None:
    for parse, error, most in (
        (parse_size, SizeError, MAX_SIZE_BYTES),
        (parse_duration, DurationError, MAX_DURATION_SECONDS),
    ):
        try:
            number = parse(value)
        except error:
            continue
        assert 0 < number <= most

"""The operating system's errors in words."""

import errno

import pytest

from carrel.units.faults import in_words


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "a/b"), "a/b: permission denied"),
        (OSError(errno.EXDEV, "Invalid link", "a", None, "b"), "a -> b: invalid link"),
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on device"),
        (OSError("the store is gone"), "the store is gone"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_an_error_is_a_place_and_a_reason(error: OSError, said: str) -> None:
    assert in_words(error) == said

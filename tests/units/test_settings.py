"""Settings from the environment: kinds of values, and what is said of wrong ones."""

import pytest
from pydantic import SecretStr, field_validator

from carrel.units.settings import CommaList, EnvironmentSettings, OnlyTrue, Seconds, SettingsError, Size, Truth
from carrel.units.settings import read_settings as read


class Example(EnvironmentSettings):
    name: str
    places: CommaList = ["a", "b"]
    quick: Truth = False
    door_open: OnlyTrue = False
    pause: Seconds = 90
    memory: Size = "4G"
    secret: SecretStr = SecretStr("")
    counts: dict[str, int] = {}

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() == "hush":
            raise ValueError("is too short")
        return value


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("X_NAME", "n")
    return monkeypatch


def test_kinds_of_values(env: pytest.MonkeyPatch) -> None:
    values = {"PLACES": " x, ,y,", "QUICK": "Yes", "DOOR_OPEN": "True", "PAUSE": "1h30m", "MEMORY": "512m"}
    for name, value in values.items():
        env.setenv(f"X_{name}", value)
    found = read(Example, "X_")
    assert (found.places, found.quick, found.door_open, found.pause, found.memory) == (
        ["x", "y"],
        True,
        False,
        5400,
        "512m",
    )


def test_an_empty_variable_is_not_set(env: pytest.MonkeyPatch) -> None:
    for name in ("PLACES", "QUICK", "DOOR_OPEN", "PAUSE", "MEMORY"):
        env.setenv(f"X_{name}", "")
    assert read(Example, "X_") == Example(name="n")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("NAME", "", "X_NAME must be set in the environment"),
        ("QUICK", "maybe", "X_QUICK: 'maybe' is neither true nor false"),
        ("PAUSE", "soon", "X_PAUSE: must be a length of time"),
        ("MEMORY", "big", "X_MEMORY: must be a size"),
        ("COUNTS", "x", "counts"),
    ],
)
def test_each_error_names_its_variable(env: pytest.MonkeyPatch, name: str, value: str, sentence: str) -> None:
    env.setenv(f"X_{name}", value)
    with pytest.raises(SettingsError) as caught:
        read(Example, "X_")
    assert sentence in str(caught.value)


def test_no_secret_is_told_nor_in_the_traceback(env: pytest.MonkeyPatch) -> None:
    env.setenv("X_SECRET", "hush")
    env.setenv("X_QUICK", "maybe")
    with pytest.raises(SettingsError) as caught:
        read(Example, "X_")
    told = "X_QUICK: 'maybe' is neither true nor false (write true or false); "
    assert str(caught.value) == f"{told}X_SECRET: is too short."
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
